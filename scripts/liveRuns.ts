import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { figuresFile } from '../test/engines/live/figures.ts';
import { root, runVitest, type Outcome } from './vitestRun.ts';

interface LiveSuite {
  /** Begins the names of the reports in `test-results`. */
  readonly name: string;
  /** A glob of its files. */
  readonly files: string;
  /** Of vitest. */
  readonly config: string;
}

/**
 * Runs the files of a suite against real programs, one after another, each as a run of its own, so that also an error outside of its tests has
 * a file. A file that fails runs once more, since the servers share this machine with everything on it; the output says which. Ends with
 * `N passed, N failed, N skipped`, and sets the exit code.
 *
 * @param wanted parts of the names of files; none: all of them.
 */
export async function runLiveSuite({ name, files, config }: LiveSuite, wanted: readonly string[]): Promise<void> {
  const results = path.join(root, 'test-results');
  mkdirSync(results, { recursive: true });
  rmSync(figuresFile, { force: true });
  let isInterrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (isInterrupted = true));
  const runFile = (file: string): Promise<Outcome> => {
    const report = path.join(results, `${name}-${path.basename(file, '.live.test.ts')}.json`);
    return runVitest(report, ['--config', config, file]);
  };

  const outcomes: Outcome[] = [];
  const passedSecond: string[] = [];
  const found = globSync(files, { cwd: root }).sort();
  for (const file of found.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))) {
    if (isInterrupted) break;
    const first = await runFile(file);
    if (first.failed === 0 || isInterrupted) {
      outcomes.push(first);
      continue;
    }
    console.log(`\n${file} failed, and runs once more.`);
    const second = await runFile(file);
    if (second.failed === 0) passedSecond.push(file);
    outcomes.push(second);
  }

  if (existsSync(figuresFile)) console.log(readFileSync(figuresFile, 'utf8'));
  if (passedSecond.length > 0) {
    console.log(`Passed only the second time, which is a defect to find: ${passedSecond.join(', ')}.`);
  }
  const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}
