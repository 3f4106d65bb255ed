import { Uri, type WorkspaceFolder, RelativePattern, window, workspace } from 'vscode';
import { CwmError } from '../../protocol/errors.ts';
import { formatCount } from '../../base/format.ts';
import { commandTitles } from '../contributions.ts';
import { gitIgnored } from './gitIgnored.ts';
import { type PathChoice, pathChoices } from './pathChoices.ts';

/** A longer list is no help; the user can choose whole folders. */
const mostFilesListed = 5000;

/** Lets the user pick files and folders of the workspace, without those that .gitignore excludes. Absolute paths. */
export async function pickPaths(folder: WorkspaceFolder | null): Promise<string[] | undefined> {
  if (folder === null) {
    throw new CwmError('InvalidParameter', 'No folder is open, so there are no files to choose from.', {
      hint: 'Open a folder first.',
    });
  }
  const chosen = await window.showQuickPick(choicesOf(folder), {
    title: commandTitles['cwm.prime'],
    placeHolder: 'Select files and folders to add to the context',
    matchOnDescription: true,
    canPickMany: true,
  });
  return chosen?.map(({ path }) => Uri.joinPath(folder.uri, path).fsPath);
}

async function choicesOf(folder: WorkspaceFolder): Promise<{ label: string; description: string; path: string }[]> {
  const files = await workspace.findFiles(new RelativePattern(folder, '**/*'), undefined, mostFilesListed);
  const isIgnored = gitIgnored(await ignoreFiles(folder));
  const paths = files.map((uri) => relativePath(folder, uri)).filter((path) => !isIgnored(path));
  return pathChoices(paths).map((choice) => ({ ...choiceLabel(choice, folder), path: choice.path }));
}

function choiceLabel({ path, kind, fileCount }: PathChoice, folder: WorkspaceFolder) {
  const files = `${formatCount(fileCount)} ${fileCount === 1 ? 'file' : 'files'}`;
  if (kind === 'file') return { label: `$(file) ${path}`, description: '' };
  if (path === '') return { label: `$(root-folder) ${folder.name}/`, description: `the whole folder, ${files}` };
  return { label: `$(folder) ${path}/`, description: files };
}

async function ignoreFiles(folder: WorkspaceFolder): Promise<{ folder: string; text: string }[]> {
  const uris = await workspace.findFiles(new RelativePattern(folder, '**/.gitignore'), undefined, 200);
  return Promise.all(
    uris.map(async (uri) => ({
      folder: relativePath(folder, Uri.joinPath(uri, '..')),
      text: new TextDecoder().decode(await workspace.fs.readFile(uri)),
    })),
  );
}

const relativePath = (folder: WorkspaceFolder, uri: Uri): string => uri.path.slice(folder.uri.path.length + 1);
