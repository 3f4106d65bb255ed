// The live suite: the product against a real vLLM, LMCache and llama-server, which `npm run engines:install` installs. Arguments are
// vitest's, such as a part of a file's name. A file that fails runs once more, since the servers share this machine with everything on
// it; the output says which. The last line it prints is `N passed, N failed, N skipped`.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { figuresFile } from '../test/engines/live/figures.ts';
import { failedFiles, root, runVitest, type Outcome } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
rmSync(figuresFile, { force: true });
const config = ['--config', 'test/engines/live/vitest.config.ts'];
const report = path.join(results, 'engines.json');
const { passed, failed, skipped } = await withSecondTry(await runVitest(report, [...config, ...process.argv.slice(2)]));
if (existsSync(figuresFile)) console.log(readFileSync(figuresFile, 'utf8'));
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** The outcome of all files, where those that failed have that of their second run. */
async function withSecondTry(first: Outcome): Promise<Outcome> {
  const files = failedFiles(report);
  if (first.failed === 0 || files.length === 0) return first;
  console.log(`\nThese files of the live suite failed, and run once more: ${files.join(', ')}.`);
  const again = path.join(results, 'engines-again.json');
  const second = await runVitest(again, [...config, ...files]);
  const stillFailed = failedFiles(again);
  console.log(
    second.failed === 0
      ? 'All of them passed the second time. A test that passes only then is a defect to find.'
      : `Failed twice: ${stillFailed.join(', ')}.`,
  );
  // Its tests that passed the first time are counted there; only what failed then can pass now.
  return { ...first, passed: first.passed + Math.max(first.failed - second.failed, 0), failed: second.failed };
}
