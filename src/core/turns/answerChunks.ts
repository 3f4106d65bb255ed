import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseMessageId, parseSessionId } from '../../protocol/ids.ts';
import { parsePage } from '../../protocol/paging.ts';
import type { CoreContext } from '../context.ts';
import { requireSession } from '../session.ts';

/**
 * The chunks of an answer behind the one that the client has, while the answer comes; afterwards the whole message (S4-21). So a client whose
 * own stream broke, or that never had one, loses nothing.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, MessageNotFound.
 */
export async function answerChunks(
  core: CoreContext,
  input: RouteInput<'answerChunks'>,
): Promise<RouteOutput<'answerChunks'>> {
  const id = parseSessionId(input.session);
  const wanted = parseMessageId(input.message);
  const { limit, offset: after } = parsePage({ limit: input.limit, offset: input.after }, 100);
  const answer = core.underWay.get(id)?.answer;
  if (answer?.begun.answer.id === wanted) {
    const behind = answer.after(after);
    return { items: behind.slice(0, limit), last: answer.last, hasMore: behind.length > limit, message: null };
  }
  await requireSession(core, id);
  const [message] = (await nullOn(core.store.messages.load(id, [wanted]), 'MessageNotFound')) ?? [];
  if (message) return { items: [], last: 0, hasMore: false, message };
  throw new CwmError('MessageNotFound', `Session "${id}" has no answer "${wanted}".`);
}
