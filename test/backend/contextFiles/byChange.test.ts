import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { byChange, gitHints } from '../../../src/backend/contextFiles/git.ts';
import { findGit } from '../../../src/backend/contextFiles/runGit.ts';
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

afterEach(() => vi.unstubAllEnvs());

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

  it.skipIf(process.platform === 'win32')('fetch nothing that a partial clone lacks', async () => {
    const { folder, git, commit } = repository();
    commit('a', '1');
    commit('b', '1');
    const program = join(folder, 'evil.sh');
    writeFileSync(program, `#!/bin/sh\ntouch "${join(folder, 'ran')}"\n`);
    chmodSync(program, 0o755);
    const parent = execFileSync('git', ['rev-parse', 'HEAD~1'], { cwd: folder, encoding: 'utf8' }).trim();
    const tree = execFileSync('git', ['rev-parse', 'HEAD^{tree}'], { cwd: folder, encoding: 'utf8' }).trim();
    for (const [setting, value] of [
      ['core.repositoryFormatVersion', '1'],
      ['extensions.partialClone', 'origin'],
      ['remote.origin.promisor', 'true'],
      ['remote.origin.url', folder],
      ['remote.origin.uploadpack', program],
    ] as const)
      git('config', setting, value);
    for (const object of [parent, tree]) rmSync(join(folder, '.git/objects', object.slice(0, 2), object.slice(2)));
    await byChange(folder, ['b', 'a'], never);
    expect((await gitHints(folder, never)).firstCommit).toBeNull();
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  it('are those of their own repository, whatever GIT_DIR the backend was started with', async () => {
    const [own, other] = [repository(), repository()];
    own.commit('a', '1');
    own.commit('b', '1');
    other.commit('b', '1');
    other.commit('a', 'x');
    const { firstCommit } = await gitHints(own.folder, never);
    vi.stubEnv('GIT_DIR', join(other.folder, '.git'));
    expect(await byChange(own.folder, ['b', 'a'], never)).toEqual(['a', 'b']);
    expect(await gitHints(own.folder, never)).toMatchObject({ firstCommit });
  });

  it('are asked of the git of PATH, never of one in the working directory', async () => {
    const folder = makeDirectory();
    const name = process.platform === 'win32' ? 'git.exe' : 'git';
    writeFileSync(join(folder, name), '');
    chmodSync(join(folder, name), 0o755);
    const near = ['', '.', relative(process.cwd(), folder)];
    expect(await findGit({ PATH: [...near, folder].join(delimiter) })).toBe(join(folder, name));
    await expect(findGit({ PATH: near.join(delimiter) })).rejects.toThrow('no git');
  });

  it('is given up when it is aborted', async () => {
    await expect(byChange(makeDirectory(), ['a'], AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
