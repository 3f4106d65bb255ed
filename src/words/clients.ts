import { formatCount } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import { folderWords, plural } from './amounts.ts';
import { type Row, rowIf, type ShowTime } from './rows.ts';
import { notRecorded } from './session.ts';

export type GatewayClient = RouteOutput<'gatewayClients'>['items'][number];

/** "97 %", of the prompt tokens of its turns; null where the model server told nothing. */
export const reusedShare = ({ promptTokens, cachedTokens }: GatewayClient): string | null =>
  promptTokens === 0 ? null : `${Math.floor((100 * cachedTokens) / promptTokens)} %`;

/** "9,100 (12.5 s)": tokens that the server had computed before, and what they took; null for none. */
export const computedAgain = ({ tokensAgain, msAgain }: GatewayClient): string | null =>
  tokensAgain === 0 ? null : `${formatCount(tokensAgain)} (${(msAgain / 1000).toFixed(1)} s)`;

/** The session of its last turn, by its title, else by its id; null for none. */
export const sessionName = ({ lastSession, lastSessionTitle }: GatewayClient): string | null =>
  lastSessionTitle ?? lastSession;

/** "2 system prompt, 1 tools"; empty for none. */
export const breakCauses = ({ breaks: { system, tools, messages } }: GatewayClient): string =>
  [
    ...(system > 0 ? [`${system} system prompt`] : []),
    ...(tools > 0 ? [`${tools} tools`] : []),
    ...(messages > 0 ? [`${messages} messages`] : []),
  ].join(', ');

/** What a client may not do, and what of it is not stored: empty for most. */
export const clientLimits = ({ records, tools, unrecorded = [] }: GatewayClient): string[] => [
  ...(records ? [] : [notRecorded]),
  ...(tools === 'all' ? [] : ['read-only tools']),
  ...(unrecorded.length === 0 ? [] : [`${plural(unrecorded.length, 'conversation')} not stored`]),
];

/** "s1: The disk is full.", for each of the first ten sessions whose last answer is not stored. */
const unstored = ({ unrecorded = [] }: GatewayClient): string =>
  unrecorded
    .slice(0, 10)
    .map(({ session, why }) => `${session}: ${why}`)
    .join(' ');

/** What a client did since the backend started. */
export function clientRows(client: GatewayClient, showTime: ShowTime): Row[] {
  const { promptTokens, cachedTokens } = client;
  return [
    ...rowIf('Project', client.project && folderWords(client.project)),
    ['Sessions', formatCount(client.sessions)],
    ...rowIf('Last session', sessionName(client) ?? ''),
    ['Turns', `${formatCount(client.turns)} of ${plural(client.requests, 'request')}`],
    ['Reused', reusedShare(client) ?? 'not known'],
    ...(promptTokens === 0 ? [] : ([['Computed', `${formatCount(promptTokens - cachedTokens)} tokens`]] as Row[])),
    ...rowIf('Computed again', computedAgain(client) ?? ''),
    ['Breaks', breakCauses(client) || 'none'],
    ...rowIf('Last break', client.lastBreak ?? ''),
    ['Last request', client.lastRequestAt === null ? 'none since the backend started' : showTime(client.lastRequestAt)],
    ...rowIf('Not stored', unstored(client)),
    ...(client.records ? [] : ([['Recorded', 'no']] as Row[])),
    ...(client.tools === 'all' ? [] : ([['Tools', 'only those that change nothing']] as Row[])),
  ];
}
