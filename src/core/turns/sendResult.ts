import type { Message } from '../../protocol/schemas/session.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { logNotes } from '../answers/answer.ts';
import { nearLimitNotes } from '../answers/nearLimit.ts';
import type { Generated } from './generate.ts';
import type { endTurn } from './endTurn.ts';
import type { Turn } from './turn.ts';

/** What the client gets of an answer that is stored. */
export function sendResult(
  turn: Turn,
  message: Message,
  { generation, rerenderTokens }: Generated,
  { session, prefixBreak }: Awaited<ReturnType<typeof endTurn>>,
  notes: readonly string[],
): SendResult {
  return {
    session: session.id,
    version: session.version,
    text: generation.text,
    messageId: message.id,
    promptTokens: generation.promptIds.length || generation.reuse.promptTokens,
    outputIds: [...generation.outputIds],
    cachedTokens: generation.reuse.cachedTokens,
    finishReason: generation.finishReason,
    timeToFirstTokenMs: generation.reuse.timeToFirstTokenMs,
    ms: 0,
    prefixBreak,
    ...(rerenderTokens !== undefined && { rerenderTokens }),
    notes: [
      ...notes,
      ...logNotes(turn.answer?.logFailure ?? null),
      ...nearLimitNotes(session.tokens?.count ?? 0, turn.description.model),
    ],
  };
}
