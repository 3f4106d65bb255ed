import { formatBytes, formatCount, formatDuration, formatTokens } from '../base/format.ts';
import { firstWords, readableLine } from '../base/readableText.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { LastEnd } from '../protocol/backendRecord.ts';
import type { ProjectResolution } from '../protocol/schemas/projectConfig.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import type { Lifecycle, Session } from '../protocol/schemas/session.ts';
import type { MemorySettings } from '../protocol/schemas/sessionSettings.ts';
import type { PendingCall, PendingTools, Question } from '../protocol/schemas/toolCall.ts';
import type { Warming } from '../protocol/schemas/warming.ts';
import { folderWords, formatStamp, plural } from './amounts.ts';
import { type Row, rowIf, type ShowTime } from './rows.ts';

/** A session that takes turns is `open` for people; the stored word is older. */
export const lifecycleWords: Readonly<Record<Lifecycle, string>> = {
  active: 'open',
  frozen: 'frozen',
  thawed: 'thawed',
  expired: 'expired',
  deleted: 'deleted',
};

/** One word for what a session is or does. */
export function sessionActivity({ lifecycle, phase, pendingTools }: Session): string {
  if (phase === 'PermanentFailure') return 'failed';
  if (phase === 'AwaitingToolApproval')
    return waitingQuestions(pendingTools).length > 0 ? 'waits for your answer' : 'waits for your decision';
  return phase === 'Idle' ? lifecycleWords[lifecycle] : 'working';
}

/** When a session expires, after that was changed. */
export const expirySentence = (session: string, expiresAt: string | undefined): string =>
  expiresAt === undefined
    ? `Session ${session} does not expire.`
    : `Session ${session} expires at ${formatStamp(expiresAt)}.`;

/** What is known of a session. @param project its project as this client names it. */
export function sessionRows(session: Session, showTime: ShowTime, project: string | null): Row[] {
  const { tokens, model, thawedFrom } = session;
  const messages = session.branches[session.activeBranch]?.length;
  return [
    ['Session', session.id],
    ...rowIf('Description', session.description),
    ...rowIf('Tags', session.tags?.join(', ')),
    ['Lifecycle', sessionActivity(session)],
    ['Context', tokens === null ? 'empty' : formatTokens(tokens.count)],
    ...rowIf('Limit', model?.maxModelLen ? formatTokens(model.maxModelLen) : null),
    ...rowIf('Messages', messages === undefined ? null : formatCount(messages)),
    ['Model', model?.id ?? 'none yet'],
    ['Model server', session.engine],
    ...settingsRows(session),
    ['Project', project ?? 'none'],
    ...rowIf('Automatic saves', session.recorded === false ? 'nothing' : null),
    ...rowIf('Frozen as', session.frozenAs),
    ...rowIf('Thawed from', thawedFrom && `${thawedFrom.window} (${thawedFrom.verdict})`),
    ...rowIf(
      'Without an answer',
      session.phase === 'AwaitingToolApproval' ? null : session.draft && firstWords(session.draft),
    ),
    ...rowIf('Prefix breaks', session.prefixBreaks === 0 ? null : formatCount(session.prefixBreaks)),
    ['Changed', showTime(session.updatedAt)],
    ...rowIf('Expires', session.expiresAt === undefined ? null : formatStamp(session.expiresAt)),
  ];
}

function settingsRows({ settings = {} }: Session): readonly Row[] {
  const { systemPrompt, sampling = {}, mode, role, tools, memory } = settings;
  const drawn = [
    ...(sampling.temperature === undefined ? [] : [`temperature ${sampling.temperature}`]),
    ...(sampling.topP === undefined ? [] : [`top-p ${sampling.topP}`]),
    ...(sampling.maxTokens === undefined ? [] : [`at most ${formatTokens(sampling.maxTokens)}`]),
    ...(sampling.stop === undefined
      ? []
      : [`stops at ${sampling.stop.map((stop) => JSON.stringify(stop)).join(', ')}`]),
    ...(sampling.seed === undefined ? [] : [`seed ${sampling.seed}`]),
  ];
  return [
    ...rowIf(
      'System prompt',
      systemPrompt?.text ? `${systemPrompt.id} (${formatCount(systemPrompt.text.length)} characters)` : null,
    ),
    ...rowIf('Sampling', drawn.join(', ')),
    ...rowIf('Mode', mode),
    ...rowIf('Role', role),
    ...rowIf('Tools', tools?.policy),
    ...rowIf('Memory', memory?.enableVm ? memoryWords(memory) : null),
  ];
}

const memoryWords = ({ maxL0Tokens, policy, vmMode }: MemorySettings): string =>
  [
    'on',
    ...(maxL0Tokens === undefined ? [] : [`requests of at most ${formatTokens(maxL0Tokens)}`]),
    ...(policy === undefined ? [] : [`policy ${policy}`]),
    ...(vmMode === undefined ? [] : [vmMode]),
  ].join(', ');

const undecided = (pending: PendingTools | undefined): PendingCall[] =>
  (pending?.calls ?? []).filter(({ why, decision }) => why !== undefined && decision === undefined);

/** The tool calls that wait for the user, each with the reason for the question. Questions of the model are others. */
export const waitingCalls = (pending: PendingTools | undefined): string[] =>
  undecided(pending).flatMap(({ name, arguments: given, why, question }) =>
    question ? [] : [`${readableLine(`${name} ${given}`)} (${why})`],
  );

/** A question of the model that waits, and the call that asks it. */
export interface WaitingQuestion extends Question {
  readonly call: string;
}

export const waitingQuestions = (pending: PendingTools | undefined): WaitingQuestion[] =>
  undecided(pending).flatMap(({ id, question }) => (question ? [{ call: id, ...question }] : []));

/** What the turn waits for. */
export function waitingSentence(pending: PendingTools | undefined): string {
  const asks = waitingQuestions(pending).length > 0;
  const calls = waitingCalls(pending).length > 0;
  if (asks && calls) return 'The turn continues when you have answered, and decided on the tool calls.';
  return `The turn continues when you have ${asks ? 'answered' : 'decided on the tool calls'}.`;
}

/** What opening a folder did about its current session's KV, in a sentence or two. */
export function warmingSentences(warming: Warming): string[] {
  const { state, why, tokensBehind } = warming;
  const behind = tokensBehind === 0 ? [] : [`The next message computes ${formatTokens(tokensBehind)} that came later.`];
  switch (state) {
    case 'done':
      return [why, ...behind];
    case 'running':
      return [
        `${formatCount(warming.tokens)} tokens are being brought back. ${warmingCosts(warming)}`.trimEnd(),
        ...behind,
      ];
    case 'ask':
      return [why, warmingCosts(warming)].filter((sentence) => sentence !== '');
    default:
      return [why];
  }
}

/** What computing and loading would take; empty where nothing was measured yet. */
export function warmingCosts({ computeMs, kvBytes, loadMs }: Warming): string {
  const computing = computeMs === null ? null : `Computing them takes about ${formatDuration(computeMs)}`;
  const size = kvBytes === null ? '' : ` ${formatBytes(kvBytes)}`;
  const loading = loadMs === null ? null : `loading${size} about ${formatDuration(loadMs)}`;
  if (computing !== null && loading !== null) return `${computing}, ${loading}.`;
  return computing === null ? '' : `${computing}.`;
}

/** What a session's checkpoint has, and what it cost. Nothing where it has none, or nobody knows. */
export const checkpointRows = (last: Receipt | null | undefined, showTime: ShowTime): readonly Row[] =>
  rowIf(
    'Checkpoint',
    last &&
      [
        last.window,
        formatTokens(last.tokens),
        ...(last.verdict === null ? [] : [last.verdict]),
        ...(last.kvBytesWritten === null ? [] : [`${formatBytes(last.kvBytesWritten)} of KV written`]),
        `took ${formatDuration(last.ms)}`,
        showTime(last.at),
      ].join(', '),
  );

/** What the end of the backend could not save in its time, and what that costs. */
export const unsavedSentences = ({ limitMs, unsaved }: Omit<LastEnd, 'pid'>): string[] => [
  `The KV of ${plural(unsaved.length, 'session')} was not saved within ${formatDuration(limitMs)}, which is the limit. No text is lost. If the model server ends too, the next message computes the KV again:`,
  ...unsaved.map(({ session, tokens, computeMs }) => {
    const time = computeMs === undefined ? '' : `, about ${formatDuration(computeMs)}`;
    return `  · ${session}: ${formatTokens(tokens)}${time}`;
  }),
];

/** @param session after it moved. */
export const movedSentence = ({ title, project }: Session): string =>
  project === null ? `"${title}" belongs to no project now.` : `"${title}" belongs to ${folderWords(project)} now.`;

/** How a project was found. */
export const tierWords: Readonly<Record<ProjectResolution['tier'], string>> = {
  explicit: 'named by you',
  config: 'by its configuration',
  registry: 'known folder',
  default: 'new folder',
};

/** Which project an answer is about, and how that was found. */
export const projectLine = ({ name, tier, configPath }: ProjectResolution): string =>
  `Project ${readableLine(name)} (${tierWords[tier]}${configPath === null ? '' : `, ${configPath}`})`;

/** What a project and another one have in common. */
export const likenessWords = {
  id: 'the same id',
  'first-commit': 'the same first commit',
  remote: 'the same remote',
} as const;

/** What adopting would do, before the user says so. @param counts of sessions. */
export const adoptionSentences = (
  from: { readonly name: string; readonly project: string; readonly sessions: number; readonly isGone: boolean },
  into: { readonly name: string; readonly project: string; readonly sessions: number },
): string[] => [
  `${plural(from.sessions, 'session')} of "${readableLine(from.name)}" (${folderWords(from.project)}${from.isGone ? ', which no longer exists' : ''}), with their windows,`,
  `would belong to "${readableLine(into.name)}" (${folderWords(into.project)}), which has ${into.sessions === 0 ? 'none' : plural(into.sessions, 'session')}.`,
  'The other project would be forgotten. Its folder stays as it is.',
];

export const adoptedSentence = ({ project, from, sessions, memories = 0 }: RouteOutput<'adoptProject'>): string => {
  const what = [plural(sessions, 'session'), ...(memories > 0 ? [plural(memories, 'memory', 'memories')] : [])];
  return `${what.join(' and ')} of ${folderWords(from)} now ${sessions + memories === 1 ? 'belongs' : 'belong'} to ${folderWords(project)}.`;
};

/** Of a project, a session or a client of which nothing is saved without being asked for. */
export const notRecorded = 'not recorded';

/** What came of saying whether a project is recorded. */
export const recordedSentence = ({ project, recorded, dropped }: RouteOutput<'recordProject'>): string =>
  recorded
    ? `Checkpoints of ${folderWords(project)} are made without being asked for.`
    : `Nothing of ${folderWords(project)} is saved without being asked for. ${plural(dropped, 'checkpoint')} deleted.`;
