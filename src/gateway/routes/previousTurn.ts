import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import type { Before, Format } from '../formats/format.ts';
import type { Named } from '../formats/references.ts';
import type { Said } from '../recognition/said.ts';

export interface Previous {
  /** Null: no session has it. */
  readonly said: Said | null;
  /** What was said up to it. */
  readonly before: Before;
}

/** The answer that a request continues by its id. @throws CwmError MessageNotFound. */
export async function previousTurn(
  gateway: GatewayContext,
  format: Format,
  asked: string | null,
  client: string,
): Promise<Previous | null> {
  if (asked === null) return null;
  const name = asked.replace(/^resp_/, '');
  const { recogniser, recorder, recentAnswers, outside, talks } = gateway;
  const { conversations } = recogniser;
  const said = conversations.answer(name as MessageId) ?? conversations.named(client, name);
  const id = said?.id ?? recentAnswers.named(client, name) ?? name;
  const storedUpTo = async ({ conversation, id: message }: Said): Promise<readonly object[]> => {
    await recorder.storedOf(conversation.session);
    return outside.chatUpTo(conversation.session, message);
  };
  const known = recentAnswers.upTo(id);
  if (known) return { said, before: known };
  const messages = said ? await storedUpTo(said) : await talks.messagesUpTo(id as MessageId, client);
  // The model would answer as if a file were its name.
  const isWhole = said === null || !isPartial(gateway, said);
  const before = isWhole ? messages && format.beforeOf?.(messages) : null;
  if (!before) {
    throw new CwmError('MessageNotFound', `There is no response "${asked.slice(0, 80)}" to continue.`, {
      hint: 'Send the whole conversation without previous_response_id.',
    });
  }
  return { said, before };
}

function isPartial({ recogniser }: GatewayContext, said: Said): boolean {
  for (let at: Said | null = said; at; at = recogniser.conversations.before(at)) if (at.isPartial) return true;
  return false;
}

/** What a request only names of earlier answers, in memory or in the store. */
export const namedBy = (gateway: GatewayContext, format: Format, client: string): Named => ({
  answer: async (id) => {
    const recent = gateway.recentAnswers.item(id);
    if (recent) return recent;
    const previous = await nullOn(previousTurn(gateway, format, id, client), 'MessageNotFound');
    return previous?.before.items().at(-1) ?? null;
  },
  part: (id) => gateway.recentAnswers.part(client, id),
});
