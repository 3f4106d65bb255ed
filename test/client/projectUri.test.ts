import { mkdtempSync, realpathSync, rmSync, symlinkSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { projectUriOfFolder, projectUriOfVirtualFolder } from '../../src/client/projectUri.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'cwm-project-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the project of a folder', () => {
  test('V4 is the same by whatever link one came there, with or without a slash at the end', async () => {
    const folder = join(root, 'my project');
    mkdirSync(folder);
    symlinkSync(folder, join(root, 'link'), 'dir');
    const uri = await projectUriOfFolder(folder);
    expect(uri).toBe(pathToFileURL(folder).href);
    expect(await projectUriOfFolder(join(root, 'link'))).toBe(uri);
    expect(await projectUriOfFolder(`${folder}/`)).toBe(uri);
  });

  test('keeps its name when the folder is gone', async () => {
    const gone = join(root, 'gone');
    expect(await projectUriOfFolder(gone)).toBe(pathToFileURL(gone).href);
  });

  test('of a virtual file system is named too, also where VS Code writes no host', () => {
    expect(projectUriOfVirtualFolder('memfs:/sample/')).toBe('memfs:///sample');
    expect(projectUriOfVirtualFolder('vscode-vfs://github/o/r')).toBe('vscode-vfs://github/o/r');
  });
});
