import { mapBounded } from '../../../base/mapBounded.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { Engine } from '../../ports/engine.ts';
import { renderPrompt } from '../../prompt/prompt.ts';
import { countPrompt } from '../segments/count.ts';
import type { ConversationPages } from './conversationPages.ts';

/** Messages that are counted at the same time. */
const atOnce = 8;

/**
 * Tokens of each message. The token ids that were stored with the answers tell most of them without any request; the engine counts the others
 * one by one, and the table has them from then on.
 */
export const countPages = (
  engine: Pick<Engine, 'tokenize'>,
  pages: ConversationPages,
  messages: readonly Message[],
  signal: AbortSignal,
): Promise<readonly number[]> =>
  mapBounded(
    messages,
    atOnce,
    async (message) => {
      const page = pages.at(message.sequence);
      const known = page?.messageIds[0] === message.id ? page.tokens : null;
      const tokens = known ?? (await countPrompt(engine, renderPrompt([message]), false, signal));
      if (known === null && page?.messageIds[0] === message.id) pages.setTokens(page.id, tokens);
      return tokens;
    },
    signal,
  );
