import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { byChange } from '../../../src/backend/contextFiles/git.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const never = new AbortController().signal;

function put(folder: string, path: string, text: string, at = 0): void {
  writeFileSync(join(folder, path), text);
  utimesSync(join(folder, path), at, at);
}

function repository() {
  const folder = makeDirectory();
  let at = 1_700_000_000;
  const git = (...given: string[]): void => {
    const date = `${at++} +0000`;
    const env = { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date, GIT_CONFIG_GLOBAL: '/dev/null' };
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...given], { cwd: folder, env, stdio: 'ignore' });
  };
  git('init');
  const commit = (path: string, text: string): void => {
    put(folder, path, text);
    git('add', path);
    git('commit', '-m', 'x');
  };
  return { folder, git, commit };
}

describe('files in the order in which they change', () => {
  it('begin with what git saw change least, then the older change; what git does not know comes last', async () => {
    const { folder, commit } = repository();
    mkdirSync(join(folder, 'ü x'));
    commit('often.ts', '1');
    commit('ü x/seldom "1".ts', '1');
    commit('later.ts', '1');
    commit('often.ts', 'twice');
    put(folder, 'new.ts', 'x', 2);
    put(folder, 'older.ts', 'x', 1);
    const paths = ['new.ts', 'later.ts', 'often.ts', 'older.ts', 'ü x/seldom "1".ts'];
    const expected = ['ü x/seldom "1".ts', 'later.ts', 'often.ts', 'older.ts', 'new.ts'];
    expect(await byChange(folder, paths, never)).toEqual(expected);
    expect(await byChange(join(folder, 'ü x'), ['seldom "1".ts'], never)).toEqual(['seldom "1".ts']);
  });

  it('are sorted by the time of their change without git, and by name where that is the same', async () => {
    const folder = makeDirectory();
    for (const [path, at] of [
      ['b', 2],
      ['a', 2],
      ['c', 1],
    ] as const)
      put(folder, path, '', at);
    expect(await byChange(folder, ['a', 'b', 'c', 'gone'], never)).toEqual(['c', 'a', 'b', 'gone']);
  });

  it.skipIf(process.platform === 'win32')('start no program that a hostile repository names', async () => {
    const { folder, git, commit } = repository();
    commit('a', '1');
    commit('b', '1');
    const program = join(folder, 'evil.sh');
    writeFileSync(program, `#!/bin/sh\ntouch "${join(folder, 'ran')}"\n`);
    chmodSync(program, 0o755);
    for (const setting of [
      'core.fsmonitor',
      'core.pager',
      'diff.external',
      'core.sshCommand',
      'gpg.program',
      'pager.log',
    ])
      git('config', setting, program);
    git('config', 'log.showSignature', 'true');
    writeFileSync(join(folder, '.gitattributes'), '* diff=evil filter=evil\n');
    git('config', 'diff.evil.textconv', program);
    git('config', 'diff.evil.command', program);
    git('config', 'filter.evil.clean', program);
    expect(await byChange(folder, ['b', 'a'], never)).toEqual(['a', 'b']);
    expect(() => execFileSync('ls', [join(folder, 'ran')], { stdio: 'ignore' })).toThrow();
  });

  it('is given up when it is aborted', async () => {
    await expect(byChange(makeDirectory(), ['a'], AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
