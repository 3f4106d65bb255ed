import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import { chatItem } from '../formats/chatCompletions.ts';
import type { AnswerOf } from '../formats/references.ts';
import type { Said } from '../recognition/conversations.ts';

export interface Previous {
  /** Null: no session has it. */
  readonly said: Said | null;
  /** What was said up to it, as chat messages. */
  readonly messages: readonly object[];
}

/** The answer that a request continues by its id. @throws CwmError MessageNotFound. */
export async function previousTurn(
  { recogniser, recorder, recent, outside, talks }: GatewayContext,
  id: string | null,
  client: string,
): Promise<Previous | null> {
  if (id === null) return null;
  const said = recogniser.conversations.answer(id as MessageId);
  const storedUpTo = async ({ conversation, id: message }: Said): Promise<readonly object[]> => {
    await recorder.storedOf(conversation.session);
    return outside.chatUpTo(conversation.session, message);
  };
  const messages =
    recent.messages(id) ?? (said ? await storedUpTo(said) : await talks.messagesUpTo(id as MessageId, client));
  if (!messages) {
    throw new CwmError('MessageNotFound', `There is no response "${id.slice(0, 80)}" to continue.`, {
      hint: 'Send the whole conversation without previous_response_id.',
    });
  }
  return { said, messages };
}

/** An answer that a request only names, in memory or in the store. */
export const answerOf =
  (gateway: GatewayContext, client: string): AnswerOf =>
  async (id) => {
    const recent = gateway.recent.item(id);
    if (recent) return recent;
    const previous = await nullOn(previousTurn(gateway, id, client), 'MessageNotFound');
    const message = previous?.messages.at(-1);
    return message ? chatItem(message) : null;
  };
