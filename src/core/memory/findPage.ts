import { nullOn } from '../../protocol/errors.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { pageIdOf, parsePageId } from './page.ts';

/**
 * The message that a page id names, as a model may write it: of the conversation, else of another branch of the session. Null: the session
 * has none, whatever another session has.
 *
 * @param messages of the conversation.
 */
export async function findPage(
  core: CoreContext,
  { id, branches }: Pick<Session, 'id' | 'branches'>,
  messages: readonly Message[],
  given: string,
): Promise<Message | null> {
  const parsed = parsePageId(given);
  if (!parsed) return null;
  const { sequence, digits } = parsed;
  const fits = (message: Message | undefined): message is Message =>
    message !== undefined && (digits === null || pageIdOf(message).endsWith(`-${digits}`));
  const here = messages[sequence - 1];
  if (fits(here)) return here;
  if (digits === null) return null;
  for (const { head, length } of Object.values(branches)) {
    if (length < sequence) continue;
    const chain = await nullOn(core.store.messages.chain(id, head), 'Corrupted');
    const at = chain?.[sequence - 1];
    if (at === undefined || !pageIdOf({ id: at, sequence }).endsWith(`-${digits}`)) continue;
    const [message] = (await nullOn(core.store.messages.load(id, [at]), 'Corrupted', 'MessageNotFound')) ?? [];
    if (message) return message;
  }
  return null;
}
