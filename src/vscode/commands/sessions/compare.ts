import { commands, type QuickPickItem, QuickPickItemKind, ThemeIcon, type Uri, window } from 'vscode';
import { CwmError } from '../../../protocol/errors.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { branchItem } from '../../pick/pickBranch.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { treeRow } from '../../render/treeRow.ts';
import { command } from '../command.ts';

/** One of two conversations that are compared. */
type Side =
  | { readonly kind: 'branch'; readonly session: string; readonly name: string }
  | { readonly kind: 'window'; readonly name: string };

interface Request {
  readonly one: Side;
  readonly other: Side;
}

/** Compares any two windows or branches in VS Code's diff editor. */
export const compare = command('cwm.compare', {
  async ask(app, input): Promise<Request | undefined> {
    const { branch, window: name, withBranch, withWindow } = input;
    // A window needs no session: both may be of other folders.
    const needsSession = name === undefined || withBranch !== undefined || input.session !== undefined;
    const session = needsSession ? await targetSession(app, input.session, 'Compare branches of this session') : null;
    if (session === undefined) return undefined;
    const one: Side | undefined =
      branch !== undefined && session
        ? { kind: 'branch', session: session.id, name: branch }
        : name !== undefined
          ? { kind: 'window', name }
          : await pickSide(app, session, null, 'Select a branch or a window');
    if (!one) return undefined;
    const other: Side | undefined =
      withBranch !== undefined && session
        ? { kind: 'branch', session: session.id, name: withBranch }
        : withWindow !== undefined
          ? { kind: 'window', name: withWindow }
          : await pickSide(app, session ?? (await sessionOfWindow(app, one)), one, `Compare ${one.name} with…`);
    return other && { one, other };
  },
  async perform(app, { one, other }) {
    // A side that does not exist fails the command, not only its half of the editor.
    await Promise.all([requireSide(app, one), requireSide(app, other)]);
    await commands.executeCommand('vscode.diff', uriOf(one), uriOf(other), `${one.name} ↔ ${other.name}`);
    return undefined;
  },
});

const uriOf = (side: Side): Uri =>
  side.kind === 'window'
    ? documentUri('window', side.name, side.name)
    : documentUri('branch', side.name, `${side.session}/${side.name}`);

async function requireSide(app: App, side: Side): Promise<void> {
  if (side.kind === 'window') {
    await app.connection.call('getWindow', { window: side.name });
    return;
  }
  const { branches } = await app.connection.call('getSession', { session: side.session });
  if (!Object.hasOwn(branches, side.name)) {
    throw new CwmError('BranchNotFound', `Session "${side.session}" has no branch "${side.name}".`);
  }
}

/** Null: its session was deleted, or is not at hand. */
async function sessionOfWindow(app: App, side: Side): Promise<Session | null> {
  if (side.kind !== 'window') return null;
  const { manifest } = await app.connection.call('getWindow', { window: side.name });
  return app.connection.call('getSession', { session: manifest.session }).catch(() => null);
}

type SideItem = QuickPickItem & { readonly side?: Side };

/** The branches of the session, then all windows, those of the session first. */
async function pickSide(
  app: App,
  session: Session | null,
  without: Side | null,
  placeHolder: string,
): Promise<Side | undefined> {
  const [branches, windows] = await Promise.all([
    session ? app.connection.call('listBranches', { session: session.id }) : { items: [] },
    app.connection.call('listWindows', { limit: 100 }),
  ]);
  const ofBranches = branches.items.map((branch): SideItem => ({
    ...branchItem(branch),
    iconPath: new ThemeIcon('git-branch'),
    side: { kind: 'branch', session: session?.id ?? '', name: branch.name },
  }));
  const ofWindows = windows.items.map((value) => {
    const row = treeRow({ kind: 'window', window: value.name, value }, app.state.current, new Date());
    const item: SideItem = {
      label: row.label,
      description: row.description,
      iconPath: new ThemeIcon('archive'),
      side: { kind: 'window', name: value.name },
    };
    return { item, isOwn: value.session === session?.id };
  });
  const isOther = ({ side }: SideItem): boolean => side?.kind !== without?.kind || side?.name !== without?.name;
  const groups: [string, SideItem[]][] = [
    ['Branches', ofBranches],
    ['Windows of this session', ofWindows.filter(({ isOwn }) => isOwn).map(({ item }) => item)],
    ['Other windows', ofWindows.filter(({ isOwn }) => !isOwn).map(({ item }) => item)],
  ];
  const rows = groups.flatMap(([label, items]): SideItem[] => {
    const offered = items.filter(isOther);
    return offered.length === 0 ? [] : [{ label, kind: QuickPickItemKind.Separator }, ...offered];
  });
  const chosen = await window.showQuickPick(rows, {
    title: commandTitles['cwm.compare'],
    placeHolder: rows.length === 0 ? 'There is nothing to compare with yet' : placeHolder,
    matchOnDescription: true,
  });
  return chosen?.side;
}
