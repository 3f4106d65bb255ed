import type { MemoryReport } from '../../protocol/memory/report.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { logNotes } from '../answers/answer.ts';
import type { CoreContext } from '../context.ts';
import { nearLimitNotes } from '../answers/nearLimit.ts';
import { tokensTaken } from '../prompt/taken.ts';
import { memoryNotes } from '../memory/reportTurn.ts';
import type { Generated } from './generate.ts';
import type { endTurn } from './endTurn.ts';
import type { Turn } from './turn.ts';

/** What the client gets of an answer that is stored. */
export async function sendResult(
  core: CoreContext,
  turn: Turn,
  message: Message,
  { generation, rerenderTokens }: Generated,
  {
    session,
    prefixBreak,
    memory = null,
  }: Awaited<ReturnType<typeof endTurn>> & { readonly memory?: MemoryReport | null },
  notes: readonly string[],
): Promise<SendResult> {
  const taken = tokensTaken(turn.description, generation);
  const price = await core.pricing();
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
    taken,
    cost: price(taken),
    prefixBreak,
    ...(rerenderTokens !== undefined && { rerenderTokens }),
    ...(memory && { memory }),
    notes: [
      ...notes,
      ...memoryNotes(memory),
      ...logNotes(turn.answer?.logFailure ?? null),
      // With memory, the conversation continues in the same session.
      ...(memory ? [] : nearLimitNotes(session.tokens?.count ?? 0, turn.description.model)),
    ],
  };
}
