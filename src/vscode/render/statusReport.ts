import { formatTokens } from '../../base/format.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import { formatStamp, percent } from '../../words/amounts.ts';
import { problemText } from '../../words/failure.ts';
import { healthWords } from '../../words/health.ts';
import { checkpointRows, sessionRows } from '../../words/session.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { State } from '../state.ts';
import { engineParagraphs } from './engineParagraphs.ts';
import { markdownFacts, markdownPage, plain } from '../../words/markdown.ts';

/** What the backend says about itself and its store. */
export interface AboutBackend {
  readonly health: RouteOutput<'health'>;
  readonly encryption: RouteOutput<'encryption'>;
  /** Of the current session's checkpoint. */
  readonly checkpoint?: Receipt | null | undefined;
}

/** The current session, the backend and its model servers, as markdown. `backend` is null when it cannot be reached. */
export function statusReport(state: State, backend: AboutBackend | null): string {
  return markdownPage('Status', [
    ...currentParagraphs(state, backend?.checkpoint),
    '## Backend',
    remoteSentence(state),
    ...(backend === null ? [connectionSentence(state)] : backendParagraphs(backend)),
  ]);
}

function currentParagraphs(
  { currentSession, project, receipts }: State,
  checkpoint: Receipt | null | undefined,
): string[] {
  const folder = project.kind === 'none' ? 'No folder is open.' : `Folder: ${plain(project.name)}.`;
  if (currentSession.kind !== 'session') return [`${folder} It has no current session.`];
  const { session } = currentSession;
  const limit = session.model?.maxModelLen ?? null;
  const used = session.tokens?.count ?? 0;
  const receipt = receipts.get(session.id);
  return [
    `${folder} Current session: **${plain(session.title)}**.`,
    limit === null
      ? ''
      : `The context is ${percent(used, limit)} full: ${formatTokens(used)} of ${formatTokens(limit)}.`,
    markdownFacts([...sessionRows(session, formatStamp, session.project), ...checkpointRows(checkpoint, formatStamp)]),
    receipt === undefined ? '' : `Last receipt: ${plain(receipt.summary)}`,
  ];
}

/** Where the backend runs: folders and `localhost` are those of that machine. Empty: there is only this one. */
function remoteSentence({ remote }: Pick<State, 'remote'>): string {
  if (remote === null) return '';
  const name = plain(remote.name);
  return remote.isThere
    ? `It runs where the files are (${name}): paths and localhost are those of that machine.`
    : `It runs on your own machine, and the files are elsewhere (${name}): paths and localhost are those of your machine.`;
}

function connectionSentence({ connection }: State): string {
  if (connection.kind !== 'failed') {
    return 'The backend is not running. It starts with the first command that needs it.';
  }
  return `The backend cannot be reached. ${plain(problemText(connection.error))}`;
}

function backendParagraphs({ health, encryption }: AboutBackend): string[] {
  const { sentence, rows, engines } = healthWords(health, encryption);
  return [
    sentence,
    markdownFacts(rows),
    '## Model servers',
    ...(engines.length === 0 ? ['No model server was needed yet.'] : engines.flatMap(engineParagraphs)),
  ];
}
