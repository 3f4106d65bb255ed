import { commonPrefixLength } from '../../base/tokenIds.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { PrefixCost } from '../../protocol/schemas/sessionSettings.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { Engine } from '../ports/engine.ts';
import { renderConversation } from './prompt.ts';

/**
 * What it costs that a conversation gets another beginning: how many of the ids that the engine saw last the next prompt begins with, in
 * whole KV blocks, and how many must be computed again. Where the engine cannot tell, all of them count as lost.
 *
 * @throws CwmError Cancelled.
 */
export async function prefixCost(
  engine: Engine,
  ids: readonly number[],
  next: { readonly system: string | null; readonly messages: readonly Message[] },
  signal: AbortSignal,
): Promise<PrefixCost> {
  try {
    const { blockTokens } = await engine.describe(signal);
    const rendered = await engine.tokenize(renderConversation(next.system, next.messages), false, signal);
    const shared = commonPrefixLength(ids, rendered);
    const keptTokens = shared - (shared % (blockTokens ?? 1));
    return { keptTokens, lostTokens: ids.length - keptTokens };
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error)) throw error;
    return { keptTokens: 0, lostTokens: ids.length };
  }
}
