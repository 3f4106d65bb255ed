import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { BranchSummary } from '../../protocol/schemas/branch.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { Listing, ProjectRow, State } from '../state.ts';

/**
 * A row of the tree. VS Code passes rows to commands as their input, so the fields have the names that the inputs in
 * `contributions.ts` have.
 */
export type TreeNode =
  /** `project` is its URI; null: sessions of no project. */
  | { readonly kind: 'project'; readonly project: ProjectUri | null; readonly value: ProjectRow }
  | { readonly kind: 'session'; readonly session: string; readonly value: Session }
  | { readonly kind: 'window'; readonly window: string; readonly value: WindowSummary }
  | { readonly kind: 'branch'; readonly session: string; readonly branch: string; readonly value: BranchSummary }
  | { readonly kind: 'empty'; readonly parent: string; readonly text: string }
  /** `session`, or `ofProject` with its URI, is the parent row, '' for no project; both are absent at the root. */
  | {
      readonly kind: 'more';
      readonly session?: string;
      readonly ofProject?: string;
      readonly shown: number;
      readonly total: number;
    };

/** The projects, where the tree groups by them; else the current session first, the others in the backend's order. */
export function rootNodes({
  sessions,
  currentSession,
  projects,
  filter,
}: Pick<State, 'sessions' | 'currentSession' | 'projects' | 'filter'>): TreeNode[] {
  if (projects) return projects.map((value) => ({ kind: 'project', project: value.uri, value }));
  if (sessions.kind === 'unknown') return [];
  const current = currentSession.kind === 'session' ? currentSession.session : null;
  const isListed = sessions.items.some(({ id }) => id === current?.id);
  const first = current !== null && (isListed || filter === '') ? [current] : [];
  const others = sessions.items.filter(({ id }) => id !== first[0]?.id);
  return [...[...first, ...others].map(sessionNode), ...moreNode(sessions)];
}

/** What the state has of the rows below a row, or of the outermost ones. */
export function childNodes(parent: TreeNode | undefined, state: State): TreeNode[] {
  if (parent === undefined) return rootNodes(state);
  if (parent.kind === 'project') return projectNodes(parent.project, state);
  return parent.kind === 'session' ? sessionNodes(parent.session, state) : [];
}

/** Under a project: its sessions. */
function projectNodes(project: ProjectUri | null, { ofProjects }: Pick<State, 'ofProjects'>): TreeNode[] {
  const sessions = ofProjects.get(project) ?? { kind: 'unknown' };
  if (sessions.kind === 'unknown') return [];
  if (sessions.items.length === 0) return [{ kind: 'empty', parent: project ?? '', text: 'No sessions yet' }];
  return [...sessions.items.map(sessionNode), ...moreNode(sessions, { ofProject: project ?? '' })];
}

const sessionNode = (session: Session): TreeNode => ({ kind: 'session', session: session.id, value: session });

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
  return [...nodes, ...moreNode(windows, { session })];
}

function moreNode(
  { items, total }: Extract<Listing<unknown>, { kind: 'loaded' }>,
  parent: { readonly session?: string; readonly ofProject?: string } = {},
): TreeNode[] {
  return items.length >= total ? [] : [{ kind: 'more', shown: items.length, total, ...parent }];
}

/** The project that a row stands in, for what is dropped on it; undefined: none of a project. */
export function projectOfNode(node: TreeNode): ProjectUri | null | undefined {
  if (node.kind === 'project') return node.project;
  return node.kind === 'session' || node.kind === 'window' ? node.value.project : undefined;
}

/** Stable across refreshes and restarts, so that VS Code preserves selection and expansion. */
export function nodeId(node: TreeNode): string {
  switch (node.kind) {
    case 'project':
      return `project:${node.project ?? ''}`;
    case 'session':
      return `session:${node.session}`;
    case 'window':
      return `window:${node.window}`;
    case 'branch':
      return `branch:${node.session}/${node.branch}`;
    case 'empty':
      return `empty:${node.parent}`;
    case 'more':
      return `more:${node.session ?? node.ofProject ?? ''}`;
  }
}
