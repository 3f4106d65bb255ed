import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DiskContextFiles } from '../../../src/backend/contextFiles/diskContextFiles.ts';
import { parseGitConfig } from '../../../src/backend/contextFiles/gitConfig.ts';
import { gitLists } from '../../../src/backend/contextFiles/gitLists.ts';
import { ignoredBy } from '../../../src/backend/contextFiles/ignoreLists.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const signal = new AbortController().signal;

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

async function given(root: string, path = '.'): Promise<string[]> {
  const { files } = await new DiskContextFiles().read([path], root, [], signal);
  return files.map((file) => file.path);
}

test.skipIf(process.platform !== 'linux')('K11 names what is no file and what has no name in UTF-8', async () => {
  const root = makeDirectory();
  write(root, { 'a.txt': 'a' });
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const lost = (name: string): Buffer => Buffer.concat([Buffer.from(`${root}/${name}`), Buffer.from([0xff])]);
  writeFileSync(lost('file'), 'x');
  mkdirSync(lost('folder'));
  writeFileSync(join(root, 'sign \uFFFD.txt'), 'b');
  const { files, skipped } = await new DiskContextFiles().read(['.'], root, [], signal);
  expect(files.map(({ path }) => path)).toEqual(['a.txt', 'sign \uFFFD.txt']);
  expect(skipped).toEqual([
    { path: 'file\uFFFD', why: 'its name is not UTF-8' },
    { path: 'folder\uFFFD', why: 'its name is not UTF-8' },
    { path: 'pipe', why: 'not a file' },
  ]);
});

describe('K7 what git ignores is not given to the model, by whichever of its lists', () => {
  test('.gitignore, .git/info/exclude and the list that the repository names', async () => {
    const root = makeDirectory();
    write(root, {
      '.git/config': '[core]\n\tbare = false\n\texcludesFile = lists/mine ; where I keep it\n',
      '.git/info/exclude': 'private.txt\n',
      'lists/mine': '*.tmpx\n',
      '.gitignore': 'listed.txt\n',
      'kept.txt': '',
      'private.txt': '',
      'scratch.tmpx': '',
      'listed.txt': '',
    });
    expect(await given(root)).toEqual(['.gitignore', 'kept.txt', 'lists/mine']);
  });

  test('the list of the user, where no setting names another, and of the two the one nearer to the file decides', async () => {
    const [home, root] = [makeDirectory(), makeDirectory()];
    write(home, { 'git/ignore': '*.log\n*.tmp\n' });
    write(root, { '.git/HEAD': '', '.git/info/exclude': '!kept.log\n', 'a/.gitignore': '!also.tmp\n' });
    const env = { XDG_CONFIG_HOME: home, GIT_CONFIG_GLOBAL: join(home, 'none'), GIT_CONFIG_NOSYSTEM: '1' };
    const { lists } = await gitLists(join(root, 'a', 'b'), env);
    expect(['x.log', 'kept.log', 'a/x.tmp', 'a/also.tmp'].map((path) => ignoredBy(lists, path) !== null)).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('a linked working tree has the lists of the main one', async () => {
    const main = makeDirectory();
    const linked = makeDirectory();
    write(main, { '.git/info/exclude': 'private.txt\n', '.git/worktrees/w/commondir': '../..\n' });
    write(linked, { '.git': `gitdir: ${join(main, '.git/worktrees/w')}\n`, 'private.txt': '', 'kept.txt': '' });
    expect(await given(linked)).toEqual(['kept.txt']);
  });

  test('settings are read with their quotes, comments, line ends and included files', () => {
    const text =
      '\uFEFF[user]\r\nexcludesFile = no\r\n[CORE] # mine\r\n ExcludesFile = "~/my \\"list\\"#1" # here\r\n[include]\npath = more\n[includeIf "gitdir:~/x"]\npath=other';
    expect(parseGitConfig(text)).toEqual({ excludesFile: '~/my "list"#1', includes: ['more', 'other'] });
    expect(parseGitConfig('[core]\nexcludesFile=\n').excludesFile).toBe('');
    expect(parseGitConfig('[core\nexcludesFile\n= x').excludesFile).toBeNull();
  });

  test('the files that are given are those that git lists', async () => {
    const root = makeDirectory();
    execFileSync('git', ['init', '-q', root]);
    const files = [
      'src/a.ts',
      'src/gen/x.ts',
      'src/gen/keep.ts',
      'build/o',
      'logs/l.log',
      'logs/important.log',
      'a/b/c/z',
      'a/b/y',
    ];
    const odd = [
      '#hash',
      '!bang',
      'foo.bak',
      'dir.bak/in',
      'CaseFile.TXT',
      'br[1]',
      'br1',
      'sub/inner/s',
      'sp ace/f',
      'trail ',
    ];
    write(root, Object.fromEntries([...files, ...odd].map((path) => [path, 'text'])));
    write(root, {
      '.gitignore':
        '# comment\n/build/\nsrc/gen/*\n!src/gen/keep.ts\n*.log\n!important.log\nlogs/\n**/c/\n\\#hash\n\\!bang\n*.bak\n!dir.bak/\nbr\\[1\\]\nsub/\n!sub/inner/\ntrail\\ \ncasefile.txt\n',
      'a/b/.gitignore': '\uFEFFy\r\n!z\r\n',
    });
    const listed = execFileSync('git', ['-C', root, 'ls-files', '--others', '--exclude-standard', '-z'], {
      encoding: 'utf8',
    });
    expect((await given(root)).sort()).toEqual(listed.split('\0').filter(Boolean).sort());
  });
});

test('K11 each path that is left out is named with its reason, a folder as one', async () => {
  const root = makeDirectory();
  write(root, { '.gitignore': 'node_modules/\n', 'node_modules/a/b.js': '', 'a.txt': 'a', '.env': 'K=1' });
  symlinkSync('a.txt', join(root, 'link'));
  const { skipped } = await new DiskContextFiles().read(['.'], root, [], signal);
  expect(skipped).toEqual([
    { path: '.env', why: expect.stringContaining('secrets') },
    { path: 'link', why: expect.stringContaining('link') },
    { path: 'node_modules', why: 'ignored by git (.gitignore)' },
  ]);
});
