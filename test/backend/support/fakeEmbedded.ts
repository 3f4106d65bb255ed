// Plays the embedded engine's process as the test wants it: `--play WHAT`.
import { appendFileSync } from 'node:fs';

const [kvDir, play] = [process.argv[3] ?? '', process.argv[5]];
appendFileSync(`${kvDir}.starts`, `${process.pid}\n`);
process.once('disconnect', () => process.exit(0));
process.once('SIGTERM', () => (play === 'deaf' ? undefined : process.exit(0)));
process.on('message', (hint) => appendFileSync(`${kvDir}.hints`, `${JSON.stringify(hint)}\n`));
// Keeps it alive.
setInterval(() => undefined, 60_000);

if (play === 'refuse') {
  process.send?.({ error: { code: 'CWM-1201', message: 'It is no model.', hint: 'Choose another.' } });
  process.exit(1);
} else if (play === 'crash') {
  console.error('out of memory');
  process.exit(9);
} else if (play !== 'hang') {
  process.send?.({
    url: `http://127.0.0.1:1/${process.env['CWM_ENGINE_TOKEN']?.length}`,
    pid: process.pid,
    workerPid: 1,
  });
}
