import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listFiles } from '../../../src/backend/contextFiles/listFiles.ts';
import { DiskContextFiles } from '../../../src/backend/contextFiles/diskContextFiles.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const signal = new AbortController().signal;

function makeTree(files: Readonly<Record<string, string | Uint8Array>>): string {
  const root = makeDirectory();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

const read = (root: string, ...paths: string[]) => new DiskContextFiles().read(paths, root, [], signal);
const paths = (files: readonly { path: string }[]): string[] => files.map(({ path }) => path);

describe('context files', () => {
  it('reads a folder in one order, without what .gitignore names and without .git', async () => {
    const root = makeTree({
      'src/b.ts': 'b',
      'src/a.ts': 'a',
      'src/Z.ts': 'Z',
      'src/deep/.gitignore': '*.tmp\n',
      'src/deep/x.tmp': 'ignored',
      'src/deep/y.txt': 'ü',
      'build/out.js': 'ignored',
      '.gitignore': 'build/\n',
      '.git/config': 'never',
      '.github/ci.yml': 'shown',
    });
    const { files, skipped } = await read(root, '.');
    expect(paths(files)).toEqual([
      '.github/ci.yml',
      '.gitignore',
      'src/Z.ts',
      'src/a.ts',
      'src/b.ts',
      'src/deep/.gitignore',
      'src/deep/y.txt',
    ]);
    expect(files.find(({ path }) => path === 'src/deep/y.txt')?.text).toBe('ü');
    expect(skipped).toEqual([
      { path: 'build', why: 'ignored by git (.gitignore)' },
      { path: 'src/deep/x.tmp', why: 'ignored by git (src/deep/.gitignore)' },
    ]);
  });

  it('respects the .gitignore of the repository above the folder', async () => {
    const root = makeTree({ '.git/HEAD': '', '.gitignore': '*.log\n', 'sub/a.log': 'x', 'sub/a.txt': 'y' });
    expect(paths((await read(root, 'sub')).files)).toEqual(['sub/a.txt']);
  });

  it.skipIf(process.platform === 'win32')(
    'follows no link out of the folder, and reads no secret, where a configuration chose the paths',
    async () => {
      const outside = makeTree({ 'ssh/id_rsa': 'PRIVATE KEY', 'docs/a.md': 'outside' });
      const root = makeTree({ 'real.md': 'inside', 'deep/b.md': 'b', '.env': 'KEY=1', '..odd/c.md': 'c' });
      symlinkSync(join(outside, 'ssh/id_rsa'), join(root, 'notes.md'));
      symlinkSync(join(outside, 'docs'), join(root, 'docs'));
      symlinkSync(join(root, 'real.md'), join(root, 'near.md'));
      symlinkSync(join(root, '.env'), join(root, 'harmless.md'));
      const given = ['notes.md', 'docs', 'docs/a.md', 'near.md', 'deep', '.env', 'harmless.md', '..odd/c.md'];
      const link = join(makeDirectory(), 'link');
      symlinkSync(root, link);
      for (const folder of [root, link]) {
        const { files, skipped } = await new DiskContextFiles().read(given, folder, [], signal, 'configuration');
        expect(paths(files)).toEqual(['..odd/c.md', 'deep/b.md', 'near.md']);
        expect(skipped.map(({ path }) => path)).toEqual(['.env', 'docs', 'docs/a.md', 'harmless.md', 'notes.md']);
      }
      expect(paths((await read(root, 'notes.md', '.env')).files)).toEqual(['.env', 'notes.md']);
    },
  );

  it('leaves out binary, foreign and large files, links and likely secrets, and says why', async () => {
    const root = makeTree({
      'binary.dat': new Uint8Array([1, 0, 2]),
      'latin1.txt': new Uint8Array([0x66, 0xfc, 0x72]),
      'large.txt': 'x'.repeat(1024 * 1024 + 1),
      'just.txt': 'x'.repeat(1024 * 1024),
      '.env': 'PASSWORD=1',
      '.env.example': 'PASSWORD=',
    });
    const outside = makeTree({ 'secret.txt': 'outside' });
    symlinkSync(outside, join(root, 'link'));
    symlinkSync(join(outside, 'secret.txt'), join(root, 'link.txt'));
    const { files, skipped } = await read(root, '.');
    expect(paths(files)).toEqual(['.env.example', 'just.txt']);
    expect(Object.fromEntries(skipped.map(({ path, why }) => [path, why]))).toEqual({
      '.env': expect.stringContaining('secrets'),
      'binary.dat': 'not text',
      'large.txt': 'larger than 1 MiB',
      'latin1.txt': 'not UTF-8 text, perhaps in Latin-1 or another old encoding',
      link: expect.stringContaining('link'),
      'link.txt': expect.stringContaining('link'),
    });
  });

  it('takes a file that is named as such, even one that a folder would leave out, and each only once', async () => {
    const root = makeTree({ '.gitignore': 'ignored.txt\n', 'ignored.txt': 'x', '.env': 'y', 'a.txt': 'z' });
    const { files } = await read(root, 'ignored.txt', '.', '.env', 'a.txt');
    expect(paths(files)).toEqual(['.env', '.gitignore', 'a.txt', 'ignored.txt']);
  });

  it('shows a path outside the working directory whole', async () => {
    const root = makeTree({ 'work/a.txt': 'a', 'workother/b.txt': 'b' });
    const { files } = await read(join(root, 'work'), '../workother', 'a.txt');
    expect(paths(files)).toEqual([join(root, 'workother/b.txt'), 'a.txt']);
  });

  it('refuses a path that is not there with CWM-2009, and stops when aborted', async () => {
    const root = makeTree({ 'a.txt': 'a' });
    await expect(read(root, 'a.txt', 'missing')).rejects.toMatchObject({ code: 'CWM-2009' });
    await expect(read(root, 'a.txt/b')).rejects.toMatchObject({ code: 'CWM-2009' });
    const aborted = new DiskContextFiles().read(['a.txt'], root, [], AbortSignal.abort(new Error('enough')));
    await expect(aborted).rejects.toThrow('enough');
  });

  it('leaves out what the client excludes, below its folder only, and names who left it out; a named file is read all the same', async () => {
    const root = makeTree({
      'work/a.ts': 'a',
      'work/a.js': 'made',
      'work/deep/node_modules/x.ts': 'x',
      'other/b.js': 'b',
    });
    const excluded = [
      { by: 'VS Code\'s "files.exclude"', rules: '**/*.js' },
      { by: 'VS Code\'s "search.exclude"', rules: '**/node_modules' },
    ];
    const cwd = join(root, 'work');
    const all = await new DiskContextFiles().read(['.', '../other'], cwd, excluded, signal);
    expect(paths(all.files)).toEqual([join(root, 'other/b.js'), 'a.ts']);
    expect(all.skipped).toEqual([
      { path: 'a.js', why: 'excluded by VS Code\'s "files.exclude"' },
      { path: 'deep/node_modules', why: 'excluded by VS Code\'s "search.exclude"' },
    ]);
    expect(paths((await new DiskContextFiles().read(['a.js'], cwd, excluded, signal)).files)).toEqual(['a.js']);
    expect((await listFiles(cwd, '**/*.js\n**/node_modules', signal)).files).toEqual(['a.ts']);
  });

  it('does not wait for what is no file', async () => {
    expect((await read('/', '/dev/null')).skipped).toEqual([{ path: 'dev/null', why: 'not a file' }]);
  });
});

describe('files to choose context from', () => {
  it("are those that none of git's three lists ignores, with likely secrets and without links", async () => {
    const root = makeTree({
      '.git/info/exclude': 'private/\n',
      '.gitignore': '*.log\n',
      'private/x.txt': 'x',
      'a.log': 'x',
      'a.txt': 'x',
      '.env': 'x',
      'sub/.gitignore': '!kept.log\nlost.txt\n',
      'sub/kept.log': 'x',
      'sub/lost.txt': 'x',
    });
    if (process.platform !== 'win32') symlinkSync(join(root, 'a.txt'), join(root, 'link.txt'));
    const { files, complete } = await listFiles(root, undefined, signal);
    expect(files.toSorted()).toEqual(['.env', '.gitignore', 'a.txt', 'sub/.gitignore', 'sub/kept.log']);
    expect(complete).toBe(true);
    await expect(listFiles('sub', undefined, signal)).rejects.toMatchObject({ name: 'InvalidParameter' });
  });

  it('are at most 5,000, and the list says that there are more', async () => {
    const names = Array.from({ length: 5001 }, (_, number) => `f${number}`);
    const root = makeTree(Object.fromEntries(names.map((name) => [name, ''])));
    const { files, complete } = await listFiles(root, undefined, signal);
    expect([files.length, complete]).toEqual([5000, false]);
  });

  it.runIf(process.platform === 'linux')('names a file that the system does not let it read', async () => {
    // Reading unmapped memory is an input/output error, also for an administrator.
    await expect(read('/proc/self', 'mem')).rejects.toMatchObject({
      code: 'CWM-4002',
      message: '/proc/self/mem cannot be read (EIO).',
    });
  });
});
