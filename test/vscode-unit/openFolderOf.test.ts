import { expect, test } from 'vitest';
import { openFolderOf } from '../../src/vscode/commands/projects/openFolderOf.ts';

const appOn = (project: object) =>
  ({ project: { settled: Promise.resolve() }, state: { current: { project } } }) as never;

test('a command about the project of the open folder is refused where no folder is open', async () => {
  const folder = { kind: 'folder', uri: 'file:///a', name: 'a' };
  expect(await openFolderOf(appOn(folder))).toBe(folder);
  await expect(openFolderOf(appOn({ kind: 'none' }))).rejects.toThrow('No folder is open.');
});
