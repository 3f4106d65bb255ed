import { nullOn } from '../../../protocol/errors.ts';
import type { MessageId } from '../../../protocol/ids.ts';
import type { MemoryPage } from '../../../protocol/memory/page.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { pageIdOf, parsePageId } from '../page.ts';
import type { ConversationPages } from './conversationPages.ts';

/** A page, and the message whose text it is; null: it is made of others, as a summary. */
export interface FoundPage {
  readonly page: MemoryPage;
  readonly message: Message | null;
}

/**
 * The page that a name stands for, as a model may write it: of the conversation, else of another branch of the session, else of one of its windows. Null: the session
 * has none, whatever another session has.
 */
export async function findPage(
  core: CoreContext,
  session: Pick<Session, 'id' | 'branches'>,
  pages: ConversationPages,
  given: string,
): Promise<FoundPage | null> {
  const page = pages.named(given);
  if (page && (page.kind === 'procedure' || page.messageIds.length !== 1 || pages.messageOf(page)))
    return { page, message: pages.messageOf(page) };
  // One that was found elsewhere before may have moved since: a branch or a window may be gone, or there again.
  const found = await elsewhere(core, session, page?.id ?? given);
  if (found) return { page: pages.addElsewhere(found.message, found.tier), message: found.message };
  const message = page && (await load(core, session, page));
  return message && { page: pages.addElsewhere(message, 'L2'), message };
}

async function load(
  core: CoreContext,
  { id }: Pick<Session, 'id'>,
  { messageIds }: MemoryPage,
): Promise<Message | null> {
  const [message] = (await nullOn(core.store.messages.load(id, messageIds), 'Corrupted', 'MessageNotFound')) ?? [];
  return message ?? null;
}

/** Windows of a session that are looked through, the latest first. */
const mostWindows = 100;

interface Elsewhere {
  readonly message: Message;
  /** `L3`: only a window of the session has it. */
  readonly tier: 'L2' | 'L3';
}

/** A message that another branch of the session has, else one of its windows. */
async function elsewhere(
  core: CoreContext,
  { id, branches }: Pick<Session, 'id' | 'branches'>,
  given: string,
): Promise<Elsewhere | null> {
  const parsed = parsePageId(given);
  if (!parsed || parsed.digits === null) return null;
  const { sequence, digits } = parsed;
  const messageIn = async (chain: readonly MessageId[] | null | undefined): Promise<Message | null> => {
    const at = chain?.[sequence - 1];
    if (at === undefined || !pageIdOf({ id: at, sequence }).endsWith(`-${digits}`)) return null;
    const [message] = (await nullOn(core.store.messages.load(id, [at]), 'Corrupted', 'MessageNotFound')) ?? [];
    return message ?? null;
  };
  for (const { head, length } of Object.values(branches)) {
    if (length < sequence) continue;
    const message = await messageIn(await nullOn(core.store.messages.chain(id, head), 'Corrupted'));
    if (message) return { message, tier: 'L2' };
  }
  const query = { session: id, sortBy: 'createdAt', order: 'desc', limit: mostWindows, offset: 0 } as const;
  for (const { name } of (await core.store.windows.list(query)).items) {
    const manifest = await nullOn(core.store.windows.get(name), 'Corrupted', 'WindowNotFound');
    const message = await messageIn(manifest?.messageIds);
    if (message) return { message, tier: 'L3' };
  }
  return null;
}
