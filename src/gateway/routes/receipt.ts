import { formatCount } from '../../base/format.ts';
import type { GatewayContext } from '../context.ts';
import type { Answer, AnswerUsage } from '../formats/item.ts';
import type { Healed } from '../passing/heal.ts';
import type { Recognised } from '../recognition/recogniser.ts';

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
    ...(why !== null && { 'x-cwm-why': why.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200) }),
    ...(turn && { 'x-cwm-session': turn.session }),
  };
}

/** Tokens that the server had computed for the conversation's last request, and computes again with this one. */
export function computedAgain(recognised: Recognised, { promptTokens, cachedTokens }: AnswerUsage): number {
  if (recognised.kind !== 'turn' || cachedTokens === null) return 0;
  return Math.max(0, Math.min(recognised.conversation.lastTokens, promptTokens) - cachedTokens);
}

/** @param cold what became of the conversation's KV, where the server did not have it in memory. */
export const reuseLine =
  (recognised: Recognised | null, cold: string | null, { parts, isPinned }: Omit<Healed, 'sent'>) =>
  ({ usage }: Answer): string | null => {
    if (usage === null || usage.cachedTokens === null) return null;
    const prefixBreak = recognised?.kind === 'turn' ? recognised.prefixBreak : null;
    const isLost = cold !== null && usage.cachedTokens < usage.promptTokens / 2;
    const again = recognised && (prefixBreak || isLost) ? computedAgain(recognised, usage) : 0;
    const facts = [
      `cwm reused ${usage.cachedTokens} of ${usage.promptTokens} prompt tokens`,
      ...(prefixBreak ? [prefixBreak.what] : []),
      ...(isLost ? [`KV from disk: ${cold.replace(/\.$/, '')}`] : []),
      ...(again > 0 ? [`${formatCount(again)} tokens computed again`] : []),
      ...(isPinned ? ["the conversation's first system prompt was sent"] : []),
      ...(parts > 0 && !isPinned ? [`${parts} ${parts === 1 ? 'part' : 'parts'} sent as spelled first`] : []),
    ];
    return facts.join('; ').replaceAll(/[\r\n]+/g, ' ');
  };

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
