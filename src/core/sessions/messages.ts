import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseMessageId, parseSessionId, type MessageId } from '../../protocol/ids.ts';
import { parsePage } from '../../protocol/paging.ts';
import type { Message, MessagePart, Picture, Session, ShownMessage } from '../../protocol/schemas/session.ts';
import type { CoreContext, PriceOf } from '../context.ts';
import { activeMessageIds, requireSession } from '../session.ts';
import { requireBranch, requireMessageOf } from '../turns/branchAt.ts';

const maxIds = 100;

/**
 * Messages of the active branch or another one, those that lead to one message, or those that are named; oldest first, or in the order of
 * their names. A text stands in for a lost message and says so (S4-05), so that the others can be read.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, MessageNotFound, BranchNotFound, Corrupted (what leads to the message is lost).
 */
export async function listMessages(
  core: CoreContext,
  input: RouteInput<'listMessages'>,
): Promise<RouteOutput<'listMessages'>> {
  const { limit, offset } = parsePage(input, 50);
  const session = await requireSession(core, parseSessionId(input.session));
  if (input.ids !== undefined) return await namedMessages(core, session, input.ids);
  const ids = await idsOf(core, session, input);
  const page = ids.slice(offset, offset + limit);
  const items = await core.store.messages.loadOrStandIns(session.id, page, offset + 1);
  const price = await core.pricing();
  return {
    items: items.map((message) => withCost(withoutPictureData(message), price)),
    total: ids.length,
    hasMore: offset + items.length < ids.length,
  };
}

/** One message, from whatever branch, with the bytes of its pictures. @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, MessageNotFound. */
export async function getMessage(
  core: CoreContext,
  input: RouteInput<'getMessage'>,
): Promise<RouteOutput<'getMessage'>> {
  const session = await requireSession(core, parseSessionId(input.session));
  return withCost(await requireMessageOf(core, session, input.message), await core.pricing());
}

async function namedMessages(core: CoreContext, { id }: Session, given: string): Promise<RouteOutput<'listMessages'>> {
  const ids = given.split(',').map(parseMessageId);
  if (ids.length > maxIds)
    throw new CwmError('InvalidParameter', `"ids" names ${ids.length} messages; the limit is ${maxIds}.`);
  const items = await core.store.messages.load(id, ids);
  const price = await core.pricing();
  return {
    items: items.map((message) => withCost(withoutPictureData(message), price)),
    total: items.length,
    hasMore: false,
  };
}

async function idsOf(
  core: CoreContext,
  session: Session,
  { upTo, branch }: RouteInput<'listMessages'>,
): Promise<readonly MessageId[]> {
  const { messages } = core.store;
  if (upTo !== undefined) return await messages.chain(session.id, (await requireMessageOf(core, session, upTo)).id);
  if (branch !== undefined) return await messages.chain(session.id, requireBranch(session, branch).head);
  return await activeMessageIds(core, session);
}

const withCost = (message: Message, price: PriceOf): ShownMessage =>
  message.taken === undefined ? message : { ...message, cost: price(message.taken) };

function withoutData(picture: Picture): Picture {
  const { data: _, ...facts } = picture;
  return facts;
}

function withoutPart(given: MessagePart): MessagePart {
  const { part: _, ...facts } = given;
  return facts;
}

/** Lists show that a picture or another part is there; its bytes may be many. */
function withoutPictureData(message: Message): Message {
  const { content } = message;
  if (content.type !== 'text' || !(content.media || content.parts)) return message;
  const { media, parts, ...rest } = content;
  return {
    ...message,
    content: {
      ...rest,
      ...(media && { media: media.map(withoutData) }),
      ...(parts && { parts: parts.map(withoutPart) }),
    },
  };
}
