import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ProjectConfigs, type ConfigDisk } from '../../../src/backend/contextFiles/projectConfigs.ts';
import { parseProjectUri } from '../../../src/protocol/ids.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const never = new AbortController().signal;
const uriOf = (path: string) => parseProjectUri(pathToFileURL(path).href);
const onPosix = it.skipIf(process.platform === 'win32');

describe('the one name of a folder', () => {
  onPosix('is that of its real path, by whichever link and in whichever spelling of the URI', async () => {
    const root = await fs.realpath(makeDirectory());
    const real = join(root, 'a b');
    mkdirSync(real);
    symlinkSync(real, join(root, 'link'));
    const configs = new ProjectConfigs();
    const expected = uriOf(real);
    const spellings = [
      uriOf(join(root, 'link')),
      `file://${root}/a%20b`,
      `file://${root}/%61%20b`,
      `file://${root}/x/../a%20b/`,
    ];
    for (const each of spellings) expect(await configs.canonical(parseProjectUri(each), never), each).toBe(expected);
    expect(await configs.uriOf(join(root, 'link'), never)).toBe(expected);
  });

  it.each([
    ['does not heed case', (at: string) => at.replace(/a-folder$/i, 'A-Folder'), 'a-FOLDER', 'A-folder'],
    ['stores letters in one form', (at: string) => at.normalize('NFC'), 'u\u0308', '\u00fc'],
  ])('is the one on the disk where the file system %s', async (_, stored, one, other) => {
    const root = await fs.realpath(makeDirectory());
    for (const name of ['A-Folder', '\u00fc']) mkdirSync(join(root, name));
    const realpath = (async (at: string) => fs.realpath(stored(at))) as ConfigDisk['realpath'];
    const configs = new ProjectConfigs({ ...fs, realpath });
    const names = await Promise.all([one, other].map((name) => configs.canonical(uriOf(join(root, name)), never)));
    expect(new Set(names).size).toBe(1);
    expect(names[0]).toBe(uriOf(stored(join(root, one))));
  });

  it.each([
    ['vscode-remote://WSL+Ubuntu/home/Me/a', 'vscode-remote://wsl+ubuntu/home/Me/a'],
    ['vscode-remote://ssh-remote+Host/srv/a/', 'vscode-remote://ssh-remote+host/srv/a'],
    ['vscode-remote://dev-container+7B22/workspaces/a', 'vscode-remote://dev-container+7b22/workspaces/a'],
    ['VSCODE-VFS://GitHub/Owner/Repo', 'vscode-vfs://github/Owner/Repo'],
    ['memfs:///u\u0308', 'memfs:///\u00fc'],
  ])('of a remote or virtual folder, %s, has one form, and nothing on this disk is asked', async (given, expected) => {
    const asked = (): never => {
      throw new Error('asked');
    };
    const disk = { ...fs, realpath: asked, lstat: asked, stat: asked } as unknown as ConfigDisk;
    const configs = new ProjectConfigs(disk);
    const project = parseProjectUri(given);
    expect(await configs.canonical(project, never)).toBe(expected);
    expect(await configs.config(project, never)).toBeNull();
    expect(await configs.exists(project, never)).toBeNull();
    expect(await configs.hints(project, never)).toEqual({ remote: null, firstCommit: null });
  });

  it('of a folder that vanished is the one that was given, and it is known to be gone', async () => {
    const root = await fs.realpath(makeDirectory());
    mkdirSync(join(root, 'a'));
    const configs = new ProjectConfigs();
    const project = uriOf(join(root, 'a'));
    expect(await configs.exists(project, never)).toBe(true);
    renameSync(join(root, 'a'), join(root, 'b'));
    expect(await configs.canonical(project, never)).toBe(project);
    expect(await configs.exists(project, never)).toBe(false);
    expect(await configs.config(project, never)).toBeNull();
  });
});

describe('what a folder is recognised by', () => {
  const git = (cwd: string, ...given: string[]): void => {
    const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null' };
    const user = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'protocol.file.allow=always'];
    execFileSync('git', [...user, ...given], { cwd, env, stdio: 'ignore' });
  };
  const configs = new ProjectConfigs();
  const hints = (path: string) => configs.hints(uriOf(path), never);

  function repository() {
    const root = makeDirectory();
    const path = join(root, 'origin');
    mkdirSync(path);
    git(path, 'init');
    git(path, 'commit', '--allow-empty', '-m', 'first');
    git(path, 'commit', '--allow-empty', '-m', 'second');
    git(path, 'remote', 'add', 'origin', 'https://me:token@example.org/a/b.git');
    return { root, path };
  }

  it('is the same for a worktree, a clone, a renamed folder and one below', async () => {
    const { root, path } = repository();
    const own = await hints(path);
    expect(own).toEqual({
      remote: 'https://example.org/a/b',
      firstCommit: expect.stringMatching(/^[0-9a-f]{40}$/) as unknown,
    });
    git(path, 'worktree', 'add', join(root, 'tree'));
    expect(await hints(join(root, 'tree'))).toEqual(own);
    git(root, 'clone', path, join(root, 'clone'));
    expect((await hints(join(root, 'clone'))).firstCommit).toBe(own.firstCommit);
    mkdirSync(join(path, 'below'));
    expect(await hints(join(path, 'below'))).toEqual(own);
    renameSync(path, join(root, 'renamed'));
    expect(await hints(join(root, 'renamed'))).toEqual(own);
  });

  it('is nothing in a shallow clone, an empty repository and a folder without git', async () => {
    const { root, path } = repository();
    git(root, 'clone', '--depth', '1', pathToFileURL(path).href, join(root, 'shallow'));
    expect((await hints(join(root, 'shallow'))).firstCommit).toBeNull();
    mkdirSync(join(root, 'empty'));
    git(join(root, 'empty'), 'init');
    expect(await hints(join(root, 'empty'))).toEqual({ remote: null, firstCommit: null });
    expect(await hints(makeDirectory())).toEqual({ remote: null, firstCommit: null });
  });
});
