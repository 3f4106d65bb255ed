import { nullOn } from '../../../protocol/errors.ts';
import type { MemoryPage } from '../../../protocol/memory/page.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { pageIdOf, parsePageId } from '../page.ts';
import type { ConversationPages } from './conversationPages.ts';

/** A page, and the message whose text it is; null: it is a summary, or a part of one. */
export interface FoundPage {
  readonly page: MemoryPage;
  readonly message: Message | null;
}

/**
 * The page that a name stands for, as a model may write it: of the conversation, else of another branch of the session. Null: the session
 * has none, whatever another session has.
 */
export async function findPage(
  core: CoreContext,
  session: Pick<Session, 'id' | 'branches'>,
  pages: ConversationPages,
  given: string,
): Promise<FoundPage | null> {
  const page = pages.named(given);
  if (page) {
    const message = pages.messageOf(page) ?? (page.messageIds.length === 1 ? await load(core, session, page) : null);
    return page.messageIds.length === 1 && !message ? null : { page, message };
  }
  const message = await onOtherBranch(core, session, given);
  return message && { page: pages.addElsewhere(message), message };
}

async function load(
  core: CoreContext,
  { id }: Pick<Session, 'id'>,
  { messageIds }: MemoryPage,
): Promise<Message | null> {
  const [message] = (await nullOn(core.store.messages.load(id, messageIds), 'Corrupted', 'MessageNotFound')) ?? [];
  return message ?? null;
}

async function onOtherBranch(
  core: CoreContext,
  { id, branches }: Pick<Session, 'id' | 'branches'>,
  given: string,
): Promise<Message | null> {
  const parsed = parsePageId(given);
  if (!parsed || parsed.digits === null) return null;
  const { sequence, digits } = parsed;
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
