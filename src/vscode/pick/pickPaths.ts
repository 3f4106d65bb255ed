import { Uri, type WorkspaceFolder, window } from 'vscode';
import { CwmError } from '../../protocol/errors.ts';
import { formatCount } from '../../base/format.ts';
import type { App } from '../app.ts';
import { commandTitles } from '../contributions.ts';
import { excludedPaths } from './excludedPaths.ts';
import { type PathChoice, pathChoices } from './pathChoices.ts';

/** Lets the user pick files and folders of the workspace, without those that git ignores or VS Code's settings exclude. Absolute paths. */
export async function pickPaths(app: App, folder: WorkspaceFolder | null): Promise<string[] | undefined> {
  if (folder === null) {
    throw new CwmError('InvalidParameter', 'No folder is open, so there are no files to choose from.', {
      hint: 'Open a folder first.',
    });
  }
  const chosen = await window.showQuickPick(choicesOf(app, folder), {
    title: commandTitles['cwm.prime'],
    placeHolder:
      'Select files and folders to add to the context. What git ignores or "files.exclude" and "search.exclude" hide is not listed.',
    matchOnDescription: true,
    canPickMany: true,
  });
  return chosen?.map(({ path }) => Uri.joinPath(folder.uri, path).fsPath);
}

async function choicesOf(
  app: App,
  folder: WorkspaceFolder,
): Promise<{ label: string; description: string; path: string }[]> {
  const { files, complete } = await app.connection.call('listFiles', {
    folder: folder.uri.fsPath,
    exclude: excludedPaths(folder.uri)
      .map(({ rules }) => rules)
      .join('\n'),
  });
  return pathChoices(files).map((choice) => ({ ...choiceLabel(choice, folder, complete), path: choice.path }));
}

function choiceLabel({ path, kind, fileCount }: PathChoice, folder: WorkspaceFolder, complete: boolean) {
  const files = `${formatCount(fileCount)}${complete ? '' : ' or more'} ${fileCount === 1 ? 'file' : 'files'}`;
  if (kind === 'file') return { label: `$(file) ${path}`, description: '' };
  if (path === '') return { label: `$(root-folder) ${folder.name}/`, description: `the whole folder, ${files}` };
  return { label: `$(folder) ${path}/`, description: files };
}
