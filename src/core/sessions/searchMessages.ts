import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, type SessionId } from '../../protocol/ids.ts';
import { parsePage } from '../../protocol/paging.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';

const longestSearch = 1000;

/** @throws CwmError InvalidParameter (no text, too long a one, bad page), InvalidSessionId. */
export async function searchMessages(
  { store }: CoreContext,
  input: RouteInput<'searchMessages'>,
): Promise<RouteOutput<'searchMessages'>> {
  const { limit, offset } = parsePage(input, 20);
  if (input.text.trim() === '') throw new CwmError('InvalidParameter', 'There is nothing to search for.');
  if (input.text.length > longestSearch)
    throw new CwmError('InvalidParameter', `A search takes at most ${longestSearch} characters.`);
  const { items, total } = await store.search.messages({
    text: input.text,
    ...(input.project !== undefined && { project: parseProjectUri(input.project) }),
    ...(input.session !== undefined && { session: parseSessionId(input.session) }),
    limit,
    offset,
  });
  const known = new Map<SessionId, Promise<Session | null>>();
  const sessionOf = (id: SessionId): Promise<Session | null> => {
    const found = known.get(id) ?? nullOn(store.sessions.get(id), 'Corrupted');
    known.set(id, found);
    return found;
  };
  const found = await Promise.all(
    items.map(async ({ sessions, excerpt, ...message }) => {
      const holders = (await Promise.all(sessions.map(sessionOf))).filter((session) => session !== null);
      const latest = holders.reduce<Session | undefined>(
        (best, session) => (best && best.updatedAt >= session.updatedAt ? best : session),
        undefined,
      );
      // Without a record that can be read it has no title.
      const session = latest?.id ?? sessions[0]!;
      const matches = excerpt.matches.map(([begin, end]): [number, number] => [begin, end]);
      return {
        ...message,
        session,
        title: latest?.title ?? session,
        alsoIn: sessions.length - 1,
        excerpt: { text: excerpt.text, matches },
      };
    }),
  );
  return { items: found, total, hasMore: offset + items.length < total };
}
