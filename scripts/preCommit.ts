// The pre-commit hook: format, lint, types, and the tests of what is staged. It checks the files in the working tree, not their staged
// versions.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { binary, root, run } from './vitestRun.ts';

const staged = execFileSync('git', ['diff', '--cached', '--name-only', '--diff-filter=ACMR', '-z'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '');
const sources = staged.filter((file) => /\.(?:ts|mjs)$/.test(file));
// git tells its hooks where the repository and its index are. A test that runs git in a folder of its own would change these.
for (const name of Object.keys(process.env)) if (name.startsWith('GIT_')) delete process.env[name];

await check('format', 'oxfmt', ['--check', '--no-error-on-unmatched-pattern', ...staged]);
if (sources.length > 0) {
  await check('types', 'tsc', ['--noEmit']);
  await check('types of the page', 'tsc', ['--noEmit', '-p', 'src/vscode/page']);
  await check('lint', 'oxlint', ['--type-aware', ...sources]);
  const tests = testsOf(sources);
  if (tests.length > 0)
    await check('tests of the change', 'vitest', ['run', '--reporter=dot', '--passWithNoTests', ...tests]);
}

async function check(what: string, tool: string, args: readonly string[]): Promise<void> {
  if (staged.length === 0 || (await run(binary(tool), args)) === 0) return;
  console.error(`Not committed: ${what} failed. "git commit --no-verify" commits all the same.`);
  process.exit(1);
}

/** The changed tests, and those that import a changed file themselves: all that depend on it would often be the whole suite. */
function testsOf(changed: readonly string[]): string[] {
  const isChanged = new Set(changed);
  return globSync('test/**/*.test.ts', { cwd: root })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => !file.endsWith('.live.test.ts'))
    .filter((file) => isChanged.has(file) || importsOf(file).some((imported) => isChanged.has(imported)));
}

function importsOf(file: string): string[] {
  const specifiers = readFileSync(path.join(root, file), 'utf8').matchAll(/from '(\.[^']+)'/g);
  return Array.from(specifiers, ([, specifier = '']) => path.posix.join(path.posix.dirname(file), specifier));
}
