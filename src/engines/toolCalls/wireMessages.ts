import { sha256Hex } from '../../base/hash.ts';
import type { ChatMessage } from '../../core/ports/engine.ts';
import { openAiMessages } from '../../core/ports/openAiMessages.ts';

/** Mistral's templates refuse ids of calls in any other form. */
const plainId = /^[A-Za-z0-9]{9}$/;

/** The messages as a server gets them. An id of a call is the same in each prompt, whichever server made it up. */
export const wireMessages = (messages: readonly ChatMessage[]): readonly object[] =>
  openAiMessages(
    messages.map(({ toolCalls, toolCallId, ...message }) => ({
      ...message,
      ...(toolCalls && { toolCalls: toolCalls.map((call) => ({ ...call, id: wireId(call.id) })) }),
      ...(toolCallId !== undefined && { toolCallId: wireId(toolCallId) }),
    })),
  );

const wireId = (id: string): string => (plainId.test(id) ? id : sha256Hex(id).slice(0, 9));
