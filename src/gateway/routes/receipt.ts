import { formatCount } from '../../base/format.ts';
import type { GatewayContext } from '../context.ts';
import type { Answer, AnswerUsage } from '../formats/item.ts';
import type { Healed } from '../passing/heal.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import type { Room } from './room.ts';

/**
 * What cannot be stored now is no more promised than what is no turn.
 *
 * @param whyNot why nothing of the client or project is recorded; null: it is.
 */
export function receiptHeaders(
  { recorder }: GatewayContext,
  recognised: Recognised | null,
  whyNot: string | null,
): Record<string, string> {
  const turn = recognised?.kind === 'turn' ? recognised.conversation : null;
  const why = whyNot ?? (turn && recorder.whyUnrecorded(turn.session));
  return {
    'x-cwm-recorded': turn && why === null ? 'yes' : 'no',
    ...(why !== null && { 'x-cwm-why': headerText(why) }),
    ...(turn && { 'x-cwm-session': turn.session }),
  };
}

/** Tokens that the server had computed for the conversation's last request, and computes again with this one. */
export function computedAgain(recognised: Recognised, { promptTokens, cachedTokens }: AnswerUsage): number {
  if (recognised.kind !== 'turn' || cachedTokens === null) return 0;
  return Math.max(0, Math.min(recognised.conversation.lastTokens, promptTokens) - cachedTokens);
}

/** What a request showed of reuse. */
interface Reused {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** In words, each of them: what kept the server from reusing more. */
  readonly breaks: readonly string[];
  readonly tokensAgain: number;
  /** In words: what of the prompt is not as the client wrote it. */
  readonly healed: readonly string[];
}

/** Of an answer; null where the server does not tell. */
export type ReusedBy = (answer: Answer) => Reused | null;

/** @param room where the server did not have the conversation's KV in memory, what became of it. */
export const reusedBy =
  (
    recognised: Recognised | null,
    { whyCold, computed }: Pick<Room, 'whyCold' | 'computed'>,
    { parts, isPinned }: Omit<Healed, 'sent'>,
  ): ReusedBy =>
  ({ usage }) => {
    if (usage === null || usage.cachedTokens === null) return null;
    const { promptTokens, cachedTokens } = usage;
    const prefixBreak = recognised?.kind === 'turn' ? recognised.prefixBreak : null;
    const isLost = whyCold !== null && cachedTokens < promptTokens / 2;
    const whyDisk = computed?.why ?? (isLost ? whyCold.replace(/\.$/, '') : null);
    return {
      promptTokens,
      cachedTokens,
      breaks: [...(prefixBreak ? [prefixBreak.what] : []), ...(whyDisk === null ? [] : [`KV from disk: ${whyDisk}`])],
      tokensAgain:
        (recognised && (prefixBreak || isLost) ? computedAgain(recognised, usage) : 0) + (computed?.tokens ?? 0),
      healed: [
        ...(isPinned ? ["the conversation's first system prompt was sent"] : []),
        ...(parts > 0 && !isPinned ? [`${parts} ${parts === 1 ? 'part' : 'parts'} sent as spelled first`] : []),
      ],
    };
  };

const brokenBy = ({ breaks, tokensAgain }: Reused): readonly string[] => [
  ...breaks,
  ...(tokensAgain > 0 ? [`${formatCount(tokensAgain)} tokens computed again`] : []),
];

/** The comment at the end of a stream. */
export const reuseLine =
  (reused: ReusedBy) =>
  (answer: Answer): string | null => {
    const found = reused(answer);
    if (found === null) return null;
    const first = `cwm reused ${found.cachedTokens} of ${found.promptTokens} prompt tokens`;
    return [first, ...brokenBy(found), ...found.healed].join('; ').replaceAll(/[\r\n]+/g, ' ');
  };

/** The same as headers, for an answer that is not streamed. */
export function reuseHeaders(found: Reused | null): Record<string, string> {
  if (found === null) return {};
  const broken = brokenBy(found);
  return {
    'x-cwm-reused': `${found.cachedTokens}/${found.promptTokens}`,
    ...(broken.length > 0 && { 'x-cwm-break': headerText(broken.join('; ')) }),
    ...(found.healed.length > 0 && { 'x-cwm-healed': headerText(found.healed.join('; ')) }),
  };
}

/** The same for the `usage` of an answer. */
export const reuseUsage =
  (reused: ReusedBy) =>
  (answer: Answer): object | null => {
    const found = reused(answer);
    return (
      found && {
        reused_tokens: found.cachedTokens,
        computed_again_tokens: found.tokensAgain,
        break: found.breaks.length === 0 ? null : found.breaks.join('; '),
      }
    );
  };

/** Headers are ASCII. */
const headerText = (said: string): string => said.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);

export function noteRequest({ figures, clock }: GatewayContext, client: string, recognised: Recognised | null): void {
  const figure = figures.of(client);
  figure.requests++;
  figure.lastRequestAt = clock.now().toISOString();
  if (recognised?.kind !== 'turn') return;
  const { conversation, prefixBreak } = recognised;
  figure.turns++;
  figure.sessions.add(conversation.session);
  figure.lastSession = conversation.session;
  figure.project = conversation.project;
  if (!prefixBreak) return;
  figure.breaks[prefixBreak.cause]++;
  figure.lastBreak = prefixBreak.what;
}
