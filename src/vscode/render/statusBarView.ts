import { checkpointName } from '../../protocol/ids.ts';
import { readableLine } from '../../base/readableText.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { State } from '../state.ts';
import { formatCount, formatTokens } from '../../base/format.ts';
import { percent } from '../../words/amounts.ts';
import { problemText } from '../../words/failure.ts';
import { sessionActivity } from '../../words/session.ts';
import { formatShortCount } from './shortCount.ts';
import { plain } from '../../words/markdown.ts';

/** What the one status-bar item shows. `severity` colours its background. */
export interface StatusBarView {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  /** For screen readers, because the icons in `text` have no words. */
  readonly label: string;
  readonly severity: 'normal' | 'warning' | 'error';
}

const warningFill = 0.85;
const errorFill = 0.95;

export function statusBarView(state: State): StatusBarView {
  const operation = state.operations.at(-1);
  if (operation !== undefined) {
    const { title, step } = operation;
    const words = step === '' ? title : `${title}: ${step}`;
    return { text: `$(sync~spin) ${title}`, tooltip: plain(words), label: words, severity: 'normal' };
  }
  if (state.currentSession.kind !== 'session') return emptyView(state);
  return sessionView(state.currentSession.session, state);
}

function emptyView({ connection }: State): StatusBarView {
  if (connection.kind !== 'failed') {
    return {
      text: '$(archive) Context Windows',
      tooltip: 'There is no current session. Click for the main actions.',
      label: 'Context Windows: no current session',
      severity: 'normal',
    };
  }
  return {
    text: '$(archive) Context Windows $(debug-disconnect)',
    tooltip: plain(problemText(connection.error)),
    label: `Context Windows: ${problemText(connection.error)}`,
    severity: 'normal',
  };
}

function sessionView(session: Session, state: State): StatusBarView {
  const name = currentName(session);
  const used = session.tokens?.count ?? 0;
  const limit = session.model?.maxModelLen ?? null;
  const verdict = lastVerdict(session, state);
  const fill = limit === null ? 0 : used / limit;
  const severity = fill >= errorFill ? 'error' : fill >= warningFill ? 'warning' : 'normal';
  const tokens = limit === null ? formatShortCount(used) : `${formatShortCount(used)}/${formatShortCount(limit)}`;
  const inWords = limit === null ? formatTokens(used) : `${formatCount(used)} of ${formatTokens(limit)}`;
  const full = limit === null ? '' : ` (${percent(used, limit)})`;
  const receipt = state.receipts.get(session.id);
  const down = whatIsDown(state);
  return {
    text: [sessionIcon(session), shorten(name), tokens, verdict ?? '', down?.icon ?? '']
      .filter((part) => part !== '')
      .join(' '),
    tooltip: [
      `**${plain(session.title)}** — ${sessionActivity(session)}`,
      `${inWords}${full}${severity === 'normal' ? '' : ': the context is nearly full'}`,
      ...(verdict === null ? [] : [`Last verdict: **${verdict}**`]),
      ...(receipt !== undefined && receipt.verdict === verdict ? [plain(receipt.summary)] : []),
      ...(down === null ? [] : [down.text]),
      'Click for the main actions.',
    ].join('\n\n'),
    label: [
      `Context Windows: ${name}`,
      sessionActivity(session),
      `${inWords} used`,
      ...(verdict === null ? [] : [`last verdict ${verdict}`]),
      ...(severity === 'normal' ? [] : ['nearly full']),
      ...(down === null ? [] : [down.spoken]),
    ].join(', '),
    severity,
  };
}

/** The window's name where the session has one, else the session's title. */
const currentName = (session: Session): string =>
  session.frozenAs ?? session.thawedFrom?.window ?? readableLine(session.title);

/**
 * Verdict of the last operation on a session; null when nothing was measured. The session records the last thaw by any client, while
 * this window of VS Code knows only its own receipts, so that the receipt may be older.
 */
function lastVerdict({ id, thawedFrom }: Session, { receipts }: Pick<State, 'receipts'>): string | null {
  const receipt = receipts.get(id);
  const thawed = thawedFrom?.verdict ?? null;
  if (receipt === undefined) return thawed;
  // Bringing a checkpoint back leaves the session as it was.
  const isOfCheckpoint = receipt.window === checkpointName(id);
  const isThawedSince = (receipt.operation === 'thaw' && !isOfCheckpoint) || receipt.window === thawedFrom?.window;
  return isThawedSince ? (thawed ?? receipt.verdict) : (receipt.verdict ?? thawed);
}

function sessionIcon(session: Session): string {
  if (session.phase !== 'Idle' && session.phase !== 'PermanentFailure') return '$(sync~spin)';
  return session.lifecycle === 'frozen' || session.lifecycle === 'thawed' ? '$(archive)' : '$(comment-discussion)';
}

function whatIsDown({ connection, engine }: State): { icon: string; text: string; spoken: string } | null {
  if (connection.kind === 'failed') {
    return {
      icon: '$(debug-disconnect)',
      text: plain(problemText(connection.error)),
      spoken: 'the backend is not running',
    };
  }
  if (engine.kind !== 'down') return null;
  const { problem } = engine.status;
  return {
    icon: '$(warning)',
    text: problem === null ? 'The model server cannot be reached.' : plain(problemText(problem)),
    spoken: 'the model server cannot be reached',
  };
}

const longestName = 28;
/** Cuts a long name; `$(` would start an icon. */
const shorten = (name: string): string => {
  const text = name.replaceAll('$(', '$ (');
  return text.length > longestName ? `${text.slice(0, longestName - 1)}…` : text;
};
