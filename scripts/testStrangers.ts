// Programs that nobody here wrote read and drive the control API: a linter, a client generator with its compiler, schemathesis, curl, and
// promtool. Installs them into the user's cache folder first. Arguments are vitest's. The last line is `N passed, N failed, N skipped`.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { installStrangers } from '../test/strangers/tools.ts';
import { root, runVitest } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  await installStrangers(interrupted.signal, (line) => console.log(line));
  const args = ['--config', 'test/strangers/vitest.config.ts', ...process.argv.slice(2)];
  const { passed, failed, skipped } = await runVitest(path.join(results, 'strangers.json'), args);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
} catch (error) {
  console.error((error as Error).message);
  console.log('0 passed, 1 failed, 0 skipped');
  process.exitCode = 1;
}
