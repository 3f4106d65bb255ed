// The live suite: the product against a real vLLM, LMCache and llama-server, which `npm run engines:install` installs. Arguments are
// parts of the names of its files; default: all. A file that fails runs once more, since the servers share this machine with everything
// on it; the output says which. The last line it prints is `N passed, N failed, N skipped`.
import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { figuresFile } from '../test/engines/live/figures.ts';
import { root, runVitest, type Outcome } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
rmSync(figuresFile, { force: true });
const wanted = process.argv.slice(2);
const files = globSync('test/engines/**/*.live.test.ts', { cwd: root })
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (isInterrupted = true));

const passedSecond: string[] = [];
const outcomes: Outcome[] = [];
for (const file of files) if (!isInterrupted) outcomes.push(await withSecondTry(file));
if (existsSync(figuresFile)) console.log(readFileSync(figuresFile, 'utf8'));
if (passedSecond.length > 0) {
  console.log(`Passed only the second time, which is a defect to find: ${passedSecond.join(', ')}.`);
}
const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;

async function withSecondTry(file: string): Promise<Outcome> {
  const first = await runFile(file);
  if (first.failed === 0 || isInterrupted) return first;
  console.log(`\n${file} failed, and runs once more.`);
  const second = await runFile(file);
  if (second.failed === 0) passedSecond.push(file);
  return second;
}

/** A run of its own, so that also an error outside of its tests has a file. */
function runFile(file: string): Promise<Outcome> {
  const report = path.join(results, `engines-${path.basename(file, '.live.test.ts')}.json`);
  return runVitest(report, ['--config', 'test/engines/live/vitest.config.ts', file]);
}
