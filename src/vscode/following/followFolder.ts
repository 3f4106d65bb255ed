import { type Disposable, workspace } from 'vscode';
import type { App } from '../app.ts';
import { affects, setting } from '../settings/settings.ts';
import { GitBranches } from './gitBranch.ts';
import { type BranchOf, FolderOpener } from './openFolder.ts';

let opener: FolderOpener | null = null;

/**
 * Opens the folder that the user works in. Of one that the user does not trust, or whose settings switch checkpoints off, nothing is saved or
 * brought back without being asked.
 */
export function followFolder(app: App): readonly Disposable[] {
  const mayRecord = (): boolean => workspace.isTrusted && setting('cwm.checkpoints') === 'on';
  const branches = new GitBranches(app, () => opened.again());
  const branchOf: BranchOf = (project) => {
    const gitBranch = branches.of(project);
    return gitBranch === undefined
      ? {}
      : { gitBranch, ...(setting('cwm.switchWithBranch') === 'on' && { eachBranch: true }) };
  };
  const opened = (opener = new FolderOpener(app, mayRecord, branchOf));
  return [
    opened,
    branches,
    workspace.onDidGrantWorkspaceTrust(() => opened.again()),
    workspace.onDidChangeConfiguration((event) => {
      if (affects(event, ['cwm.checkpoints', 'cwm.switchWithBranch'])) opened.again();
    }),
  ];
}

/** Saves what was said in it. */
export const leaveFolder = (): Promise<void> => opener?.close() ?? Promise.resolve();
