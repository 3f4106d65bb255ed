import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { BranchSummary } from '../../protocol/schemas/branch.ts';
import type { Listing, State } from '../state.ts';

/**
 * A row of the tree. VS Code passes rows to commands as their input, so the fields have the names that the inputs in
 * `contributions.ts` have.
 */
export type TreeNode =
  | { readonly kind: 'session'; readonly session: string; readonly value: Session }
  | { readonly kind: 'window'; readonly window: string; readonly value: WindowSummary }
  | { readonly kind: 'branch'; readonly session: string; readonly branch: string; readonly value: BranchSummary }
  | { readonly kind: 'empty'; readonly parent: string; readonly text: string }
  /** `session` is the parent row; absent at the root. */
  | { readonly kind: 'more'; readonly session?: string; readonly shown: number; readonly total: number };

/** The current session first, the others in the backend's order. */
export function rootNodes({ sessions, currentSession }: Pick<State, 'sessions' | 'currentSession'>): TreeNode[] {
  if (sessions.kind === 'unknown') return [];
  const current = currentSession.kind === 'session' ? currentSession.session : null;
  const others = sessions.items.filter(({ id }) => id !== current?.id);
  const ordered = current === null ? others : [current, ...others];
  const nodes: TreeNode[] = ordered.map((session) => ({ kind: 'session', session: session.id, value: session }));
  return [...nodes, ...moreNode(sessions)];
}

/** Under a session: its branches, where it has several, then its windows. */
export const sessionNodes = (
  session: string,
  { branches, windows }: Pick<State, 'branches' | 'windows'>,
): TreeNode[] => [
  ...branchNodes(session, branches.get(session) ?? []),
  ...windowNodes(session, windows.get(session) ?? { kind: 'unknown' }),
];

const branchNodes = (session: string, branches: readonly BranchSummary[]): TreeNode[] =>
  branches.length < 2 ? [] : branches.map((value) => ({ kind: 'branch', session, branch: value.name, value }));

export function windowNodes(session: string, windows: Listing<WindowSummary>): TreeNode[] {
  if (windows.kind === 'unknown') return [];
  if (windows.items.length === 0) return [{ kind: 'empty', parent: session, text: 'No windows yet' }];
  const nodes: TreeNode[] = windows.items.map((window) => ({ kind: 'window', window: window.name, value: window }));
  return [...nodes, ...moreNode(windows, session)];
}

function moreNode({ items, total }: Extract<Listing<unknown>, { kind: 'loaded' }>, session?: string): TreeNode[] {
  if (items.length >= total) return [];
  return [{ kind: 'more', shown: items.length, total, ...(session === undefined ? {} : { session }) }];
}

/** Stable across refreshes and restarts, so that VS Code preserves selection and expansion. */
export function nodeId(node: TreeNode): string {
  switch (node.kind) {
    case 'session':
      return `session:${node.session}`;
    case 'window':
      return `window:${node.window}`;
    case 'branch':
      return `branch:${node.session}/${node.branch}`;
    case 'empty':
      return `empty:${node.parent}`;
    case 'more':
      return `more:${node.session ?? ''}`;
  }
}
