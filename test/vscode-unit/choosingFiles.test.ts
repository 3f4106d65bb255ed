import { describe, expect, test } from 'vitest';
import { gitIgnored } from '../../src/vscode/pick/gitIgnored.ts';
import { pathChoices } from '../../src/vscode/pick/pathChoices.ts';

describe('choosing files', () => {
  test('offers the whole folder, every folder with what is in it, then every file', () => {
    const choices = pathChoices(['src/a/x.ts', 'README.md', 'src/b.ts']);
    expect(choices).toEqual([
      { path: '', kind: 'folder', fileCount: 3 },
      { path: 'src', kind: 'folder', fileCount: 2 },
      { path: 'src/a', kind: 'folder', fileCount: 1 },
      { path: 'README.md', kind: 'file', fileCount: 1 },
      { path: 'src/a/x.ts', kind: 'file', fileCount: 1 },
      { path: 'src/b.ts', kind: 'file', fileCount: 1 },
    ]);
    expect(pathChoices([])).toEqual([]);
  });

  test('what .gitignore names is not offered, and the rule of a deeper folder wins', () => {
    const isIgnored = gitIgnored([
      { folder: 'packages/a', text: '!keep.log\n/build\n' },
      { folder: '', text: '*.log\n/secret.txt\nnode_modules/\n' },
    ]);
    const paths = [
      'x.log',
      'packages/a/x.log',
      'packages/a/keep.log',
      'secret.txt',
      'src/secret.txt',
      'src/node_modules/p/index.js',
      'packages/a/build/out.js',
      'build/out.js',
      'packages/ab/build',
      'packages/a',
    ];
    expect(paths.filter(isIgnored)).toEqual([
      'x.log',
      'packages/a/x.log',
      'secret.txt',
      'src/node_modules/p/index.js',
      'packages/a/build/out.js',
    ]);
  });
});
