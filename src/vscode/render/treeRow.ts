import type { Session } from '../../protocol/schemas/session.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { TreeContextValue } from '../contributions.ts';
import type { State } from '../state.ts';
import { formatAge, formatBytes, formatCount, formatTokens } from '../../base/format.ts';
import { plain } from './markdown.ts';
import { sessionStateWords } from './statusBarView.ts';
import type { TreeNode } from './treeNodes.ts';
import { asVerdict, verdictWords } from './verdictWords.ts';

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

export function treeRow(node: TreeNode, state: Pick<State, 'active' | 'project'>, now: Date): TreeRow {
  switch (node.kind) {
    case 'session':
      return sessionRow(node.value, state, now);
    case 'window':
      return windowRow(node.value, now);
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

function sessionRow(session: Session, { active, project }: Pick<State, 'active' | 'project'>, now: Date): TreeRow {
  const isActive = active.kind === 'session' && active.session.id === session.id;
  const stateWords = sessionStateWords(session);
  const tokens = session.tokens === null ? 'empty' : formatTokens(session.tokens.count);
  const folder = session.project === null ? 'no folder' : folderName(session.project);
  const elsewhere = project.kind === 'folder' && project.uri === session.project ? [] : [folder];
  const facts = [...(isActive ? ['active'] : []), tokens, ...(isActive && stateWords === 'active' ? [] : [stateWords])];
  const age = formatAge(session.updatedAt, now);
  return {
    label: session.title,
    description: [...facts, age, ...elsewhere].join(' · '),
    ...sessionIcon(session, isActive),
    tooltip: [
      `**${plain(session.title)}**`,
      list([
        ['Session', `\`${session.id}\``],
        ['State', stateWords],
        ['Context', tokens],
        ['Model', session.model === null ? 'none yet' : plain(session.model.id)],
        ['Engine', plain(session.engine)],
        ['Folder', plain(folder)],
        ['Frozen as', session.frozenAs === null ? '' : plain(session.frozenAs)],
        [
          'Thawed from',
          session.thawedFrom === null ? '' : `${plain(session.thawedFrom.window)} (${session.thawedFrom.verdict})`,
        ],
        ['Prefix breaks', session.prefixBreaks === 0 ? '' : formatCount(session.prefixBreaks)],
        ['Changed', age],
      ]),
    ].join('\n\n'),
    spoken: `Session ${session.title}, ${[...facts, `changed ${age}`, ...elsewhere].join(', ')}`,
    contextValue: sessionContextValue(session),
  };
}

function sessionContextValue({ lifecycle, phase }: Session): TreeContextValue {
  if (lifecycle === 'frozen') return 'session.frozen';
  return phase === 'Idle' || phase === 'PermanentFailure' ? 'session.idle' : 'session.busy';
}

function sessionIcon(session: Session, isActive: boolean): Pick<TreeRow, 'icon' | 'iconColor'> {
  if (session.phase === 'PermanentFailure') return { icon: 'error', iconColor: 'list.errorForeground' };
  if (session.phase !== 'Idle') return { icon: 'loading~spin', iconColor: null };
  if (session.lifecycle === 'frozen') return { icon: 'lock', iconColor: null };
  return { icon: 'comment-discussion', iconColor: isActive ? 'charts.blue' : null };
}

function windowRow(window: WindowSummary, now: Date): TreeRow {
  const verdict = asVerdict(window.lastThaw?.verdict);
  const words = verdict === null ? null : verdictWords[verdict];
  const stateWords = window.lastThaw === null ? 'not thawed yet' : window.lastThaw.verdict;
  const tokens = formatTokens(window.tokens);
  const bytes = window.kvBytes === null ? [] : [formatBytes(window.kvBytes)];
  const age = formatAge(window.createdAt, now);
  const pinned = window.pinned ? ['pinned'] : [];
  return {
    label: window.name,
    description: [tokens, ...bytes, age, stateWords, ...pinned].join(' · '),
    icon: words?.icon ?? 'archive',
    iconColor: words?.color ?? null,
    tooltip: [
      `**${plain(window.name)}**`,
      ...(window.description === '' ? [] : [plain(window.description)]),
      list([
        ['Kind', window.mode],
        ['Context', tokens],
        ['KV on disk', bytes[0] ?? 'not observed'],
        ['Model', plain(window.model)],
        ['Engine', plain(window.engine)],
        ['Cloned from', window.parentWindow === null ? '' : plain(window.parentWindow)],
        ['Tags', window.tags.map(plain).join(', ')],
        ['Created', age],
        ['Last thaw', window.lastThaw === null ? 'never' : `${stateWords}, ${formatAge(window.lastThaw.at, now)}`],
      ]),
      ...(words === null ? [] : [words.meaning]),
    ].join('\n\n'),
    spoken: `Window ${window.name}, ${[tokens, ...bytes, `created ${age}`, stateWords, ...pinned].join(', ')}`,
    contextValue: window.pinned ? 'window.pinned' : 'window',
  };
}

/** Last part of a folder's URI, readable. */
export function folderName(uri: string): string {
  const last = uri.split('/').findLast((part) => part !== '') ?? uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

const list = (rows: readonly (readonly [name: string, value: string])[]): string =>
  rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `- ${name}: ${value}`)
    .join('\n');
