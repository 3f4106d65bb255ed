// Loaded into a backend with `--import`: a signal has it collect its garbage and write to CWM_HEAP_FILE what is left, in bytes.
import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

process.on('SIGUSR2', () => {
  let left = 4;
  const again = (): void => {
    collect();
    if (--left > 0) return void setTimeout(again, 50);
    const { heapUsed, rss } = process.memoryUsage();
    writeFileSync(process.env['CWM_HEAP_FILE'] ?? '', JSON.stringify({ heapUsed, rss }));
  };
  again();
});
