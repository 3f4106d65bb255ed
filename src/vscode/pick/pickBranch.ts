import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import { formatTokens } from '../../base/format.ts';
import { readableLine } from '../../base/readableText.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { plural } from '../../words/amounts.ts';
import { sharedWords } from '../../words/branches.ts';
import type { App } from '../app.ts';
import { type CommandId, commandTitles } from '../contributions.ts';

type BranchSummary = RouteOutput<'listBranches'>['items'][number];

export interface BranchItem extends QuickPickItem {
  readonly branch: string;
}

export const branchItem = (branch: BranchSummary): BranchItem => ({
  label: readableLine(branch.name),
  iconPath: new ThemeIcon(branch.active ? 'check' : 'git-branch'),
  description: [
    plural(branch.length, 'message'),
    ...(branch.tokens === null ? [] : [formatTokens(branch.tokens)]),
    ...(branch.sharedWith === null ? [] : [`shares ${sharedWords(branch)}`]),
  ].join(' · '),
  branch: branch.name,
});

/** Lets the user pick a branch of a session. @param more rows behind the branches. */
export async function pickBranch<More extends QuickPickItem = never>(
  app: App,
  { id, title }: Session,
  command: CommandId,
  isOffered: (branch: BranchSummary) => boolean = () => true,
  more: readonly More[] = [],
): Promise<BranchItem | More | undefined> {
  const { items } = await app.connection.call('listBranches', { session: id });
  const rows = [...items.filter(isOffered).map(branchItem), ...more];
  return window.showQuickPick<BranchItem | More>(rows, {
    title: commandTitles[command],
    placeHolder: rows.length === 0 ? 'There is no such branch' : `Select a branch of "${readableLine(title)}"`,
  });
}
