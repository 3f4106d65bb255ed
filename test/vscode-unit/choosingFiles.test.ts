import { describe, expect, test } from 'vitest';
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
});
