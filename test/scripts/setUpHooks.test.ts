import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const script = fileURLToPath(new URL('../../scripts/setUpHooks.mjs', import.meta.url));
const makeDirectory = temporaryDirectories();

/** What git says its folder of hooks is, after the script ran there; empty: its own. */
function hooksIn(folder: string, ...before: (readonly string[])[]): string {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CEILING_DIRECTORIES: folder };
  const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: folder, env, encoding: 'utf8' });
  for (const args of before) git(...args);
  execFileSync(process.execPath, [script], { cwd: folder, env });
  return git('config', '--default', '', '--get', 'core.hooksPath').trim();
}

test('a checkout gets the hooks of this repository, and keeps other ones that its user has chosen', () => {
  expect(hooksIn(makeDirectory(), ['init', '-q'])).toBe('.githooks');
  expect(hooksIn(makeDirectory(), ['init', '-q'], ['config', 'core.hooksPath', 'mine'])).toBe('mine');
});

test('outside a checkout nothing is changed, and that is no error', () => {
  expect(hooksIn(makeDirectory())).toBe('');
});
