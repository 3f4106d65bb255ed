import { readableLine } from '../../base/readableText.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { TreeContextValue } from '../contributions.ts';
import type { ProjectRow, State } from '../state.ts';
import { formatAge, formatBytes, formatCount, formatTokens } from '../../base/format.ts';
import type { BranchSummary } from '../../protocol/schemas/branch.ts';
import { folderName, plural } from '../../words/amounts.ts';
import { sharedWords } from '../../words/branches.ts';
import { type Row, rowIf, type ShowTime } from '../../words/rows.ts';
import { notRecorded, sessionActivity, sessionRows } from '../../words/session.ts';
import { asVerdict, verdictWords } from '../../words/verdicts.ts';
import { windowRows } from '../../words/window.ts';
import { markdownFacts, plain } from '../../words/markdown.ts';
import type { TreeNode } from './treeNodes.ts';
import { verdictIcons } from './verdictIcons.ts';

/** What a row shows, free of VS Code's classes. */
export interface TreeRow {
  readonly label: string;
  readonly description: string;
  readonly icon: string | null;
  readonly iconColor: string | null;
  /** Markdown; empty: none. */
  readonly tooltip: string;
  /** What a screen reader says; icons have no words. */
  readonly spoken: string;
  readonly contextValue: TreeContextValue | null;
}

/** What the rows of the tree depend on beside their own values. `projects`: as in {@link State}; default: the sessions are in one list. */
type RowState = Pick<State, 'currentSession' | 'project'> & Partial<Pick<State, 'projects'>>;

export function treeRow(node: TreeNode, state: RowState, now: Date): TreeRow {
  const row = rowOf(node, state, now);
  // Model names, folders and branches come from elsewhere, as titles do.
  const [label, description, spoken] = [row.label, row.description, row.spoken].map(readableLine);
  return { ...row, label: label ?? '', description: description ?? '', spoken: spoken ?? '' };
}

function rowOf(node: TreeNode, state: RowState, now: Date): TreeRow {
  switch (node.kind) {
    case 'project':
      return projectRow(node.value, state);
    case 'session':
      return sessionRow(node.value, state, now);
    case 'window':
      return windowRow(node.value, now);
    case 'branch':
      return branchRow(node.value);
    case 'empty':
      return { ...bareRow, label: node.text, spoken: node.text };
    case 'more': {
      const words = `Show more (${formatCount(node.shown)} of ${formatCount(node.total)} shown)`;
      return { ...bareRow, label: words, icon: 'ellipsis', spoken: words, contextValue: 'more' };
    }
  }
}

const bareRow: TreeRow = {
  label: '',
  description: '',
  icon: null,
  iconColor: null,
  tooltip: '',
  spoken: '',
  contextValue: null,
};

function projectRow(
  { uri, name, sessions, isGone, isRecorded }: ProjectRow,
  { project }: Pick<State, 'project'>,
): TreeRow {
  const isOpen = project.kind === 'folder' && project.uri === uri;
  const facts = [
    ...(isOpen ? ['this folder'] : []),
    ...(isRecorded ? [] : [notRecorded]),
    plural(sessions, 'session'),
    ...(isGone ? ['its folder is not there any more'] : []),
  ];
  const ofRecorded = isRecorded ? (isOpen ? 'folder-opened' : 'folder') : 'eye-closed';
  const icon = uri === null ? 'circle-slash' : isGone ? 'warning' : ofRecorded;
  return {
    label: name,
    description: facts.join(' · '),
    icon,
    iconColor: null,
    tooltip: uri === null ? plain(name) : `**${plain(name)}**\n\n${plain(uri)}`,
    spoken: `${uri === null ? '' : 'Project '}${name}, ${facts.join(', ')}`,
    contextValue: uri === null ? null : isRecorded ? 'project.recorded' : 'project.unrecorded',
  };
}

function sessionRow(session: Session, { currentSession, project, projects = null }: RowState, now: Date): TreeRow {
  const isCurrent = currentSession.kind === 'session' && currentSession.session.id === session.id;
  const activity = sessionActivity(session);
  const tokens = session.tokens === null ? 'empty' : formatTokens(session.tokens.count);
  const folder = session.project === null ? 'no folder' : folderName(session.project);
  // Below the row of its project, the name would stand there twice.
  const isNamed = projects !== null || (project.kind === 'folder' && project.uri === session.project);
  const elsewhere = isNamed ? [] : [folder];
  const facts = [
    ...(isCurrent ? ['current'] : []),
    tokens,
    ...(isCurrent && activity === 'open' ? [] : [activity]),
    ...(session.recorded === false ? [notRecorded] : []),
  ];
  const ageOf: ShowTime = (stamp) => formatAge(stamp, now);
  const title = readableLine(session.title);
  const age = ageOf(session.updatedAt);
  return {
    label: title,
    description: [...facts, age, ...elsewhere].join(' · '),
    ...sessionIcon(session, isCurrent),
    tooltip: `**${plain(session.title)}**\n\n${markdownFacts(sessionRows(session, ageOf, folder))}`,
    spoken: `Session ${title}, ${[...facts, `changed ${age}`, ...elsewhere].join(', ')}`,
    contextValue: sessionContextValue(session),
  };
}

function sessionContextValue(session: Session): TreeContextValue {
  const value = `session.${sessionStateOf(session)}` as const;
  return session.settings?.memory?.enableVm ? `${value}.memory` : value;
}

function sessionStateOf({ lifecycle, phase }: Session): 'idle' | 'busy' | 'frozen' | 'expired' {
  if (lifecycle === 'frozen' || lifecycle === 'expired') return lifecycle;
  return phase === 'Idle' || phase === 'PermanentFailure' ? 'idle' : 'busy';
}

function sessionIcon(session: Session, isCurrent: boolean): Pick<TreeRow, 'icon' | 'iconColor'> {
  if (session.phase === 'PermanentFailure') return { icon: 'error', iconColor: 'list.errorForeground' };
  if (session.phase !== 'Idle') return { icon: 'loading~spin', iconColor: null };
  if (session.lifecycle === 'frozen') return { icon: 'lock', iconColor: null };
  if (session.lifecycle === 'expired') return { icon: 'watch', iconColor: null };
  return { icon: 'comment-discussion', iconColor: isCurrent ? 'charts.blue' : null };
}

function windowRow(window: WindowSummary, now: Date): TreeRow {
  const verdict = asVerdict(window.lastThaw?.verdict);
  const icon = verdict === null ? null : verdictIcons[verdict];
  const lastThaw = window.lastThaw?.verdict ?? 'not thawed yet';
  const tokens = formatTokens(window.tokens);
  const bytes = window.kvBytes === null ? [] : [formatBytes(window.kvBytes)];
  const ageOf: ShowTime = (stamp) => formatAge(stamp, now);
  const age = ageOf(window.createdAt);
  const pinned = window.pinned ? ['pinned'] : [];
  const origin = originOf(window);
  return {
    label: window.name,
    description: [tokens, ...bytes, age, lastThaw, ...origin, ...pinned].join(' · '),
    icon: icon?.icon ?? 'archive',
    iconColor: icon?.color ?? null,
    tooltip: [
      `**${plain(window.name)}**`,
      ...(window.description === '' ? [] : [plain(window.description)]),
      markdownFacts(windowRows(window, ageOf)),
      ...(verdict === null ? [] : [verdictWords[verdict].meaning]),
    ].join('\n\n'),
    spoken: `Window ${window.name}, ${[tokens, ...bytes, `created ${age}`, lastThaw, ...origin, ...pinned].join(', ')}`,
    contextValue: window.pinned ? 'window.pinned' : 'window',
  };
}

function branchRow(branch: BranchSummary): TreeRow {
  const { name, active, length, tokens, sharedTokens, sharedWith, systemPrompt } = branch;
  const facts = [
    ...(active ? ['current'] : []),
    tokens === null ? plural(length, 'message') : formatTokens(tokens),
    ...(sharedWith === null ? [] : [`shares ${formatCount(sharedTokens)} with ${sharedWith}`]),
  ];
  const rows: Row[] = [
    ['Messages', formatCount(length)],
    ['Tokens', tokens === null ? 'none yet' : formatCount(tokens)],
    ['Shared', sharedWords(branch) || 'nothing'],
    ...rowIf('System prompt', systemPrompt),
  ];
  return {
    label: name,
    description: facts.join(' · '),
    icon: 'git-branch',
    iconColor: active ? 'charts.blue' : null,
    tooltip: `**${plain(name)}**\n\n${markdownFacts(rows)}`,
    spoken: `Branch ${name}, ${facts.join(', ')}`,
    contextValue: `branch.${name === 'main' ? 'main' : 'other'}${active ? '.active' : ''}`,
  };
}

/** Where the window comes from: what it is a clone of, or what its session was thawed from. */
const originOf = ({ parentWindow, mode }: WindowSummary): string[] =>
  parentWindow === null ? [] : [`${mode === 'clone' ? 'clone of' : 'from'} ${parentWindow}`];
