import { readableLine } from '../../base/readableText.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { State } from '../state.ts';
import { formatCount, formatTokens } from '../../base/format.ts';
import { percent } from '../../words/amounts.ts';
import { problemText } from '../../words/failure.ts';
import type { Warming } from '../../protocol/schemas/warming.ts';
import { sessionActivity, warmingCosts } from '../../words/session.ts';
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
  /** Whether a click brings the KV of the session back. Default: no. */
  readonly asks?: boolean;
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
  const project = state.project.kind === 'folder' ? state.project.name : null;
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
  const warming = state.warmings.get(session.id) ?? null;
  const { icon, word } = sessionState(session, warming, verdict);
  const cost = warming === null ? '' : warmingCosts(warming);
  const asks = warming?.state === 'ask';
  return {
    text: [icon, project === null ? '' : `${shorten(project)} ·`, shorten(name), tokens, word, down?.icon ?? '']
      .filter((part) => part !== '')
      .join(' '),
    asks,
    tooltip: [
      `**${plain(session.title)}** — ${sessionActivity(session)}`,
      `${inWords}${full}${severity === 'normal' ? '' : ': the context is nearly full'}`,
      ...(state.memory?.session === session.id ? [plain(state.memory.split)] : []),
      ...(verdict === null ? [] : [`Last verdict: **${verdict}**`]),
      ...(receipt !== undefined && receipt.verdict === verdict ? [plain(receipt.summary)] : []),
      ...(warming === null || warming.state === 'done' ? [] : [plain(warming.why)]),
      ...(cost === '' ? [] : [plain(cost)]),
      ...(down === null ? [] : [down.text]),
      asks ? 'Click to bring its KV back.' : 'Click for the main actions.',
    ].join('\n\n'),
    label: [
      `Context Windows: ${name}`,
      ...(project === null ? [] : [`in ${project}`]),
      sessionActivity(session),
      ...(warming?.state === 'running' ? ['its KV is being brought back'] : []),
      ...(asks ? ['its KV is gone: press to bring it back'] : []),
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
  const isThawedSince =
    (receipt.operation === 'thaw' && !receipt.ofCheckpoint) || receipt.window === thawedFrom?.window;
  return isThawedSince ? (thawed ?? receipt.verdict) : (receipt.verdict ?? thawed);
}

/** What the session does now, else how it is. */
function sessionState(
  session: Session,
  warming: Warming | null,
  verdict: string | null,
): { readonly icon: string; readonly word: string } {
  const activity = sessionActivity(session);
  if (session.phase !== 'Idle' && session.phase !== 'PermanentFailure') return { icon: '$(sync~spin)', word: activity };
  if (warming?.state === 'running') return { icon: '$(sync~spin)', word: 'loading' };
  if (warming?.state === 'ask') return { icon: '$(question)', word: 'load KV?' };
  const isOfWindow = session.lifecycle === 'frozen' || session.lifecycle === 'thawed';
  const icon = isOfWindow ? '$(archive)' : '$(comment-discussion)';
  return { icon, word: verdict ?? activity };
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
