import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError, nullOn } from '../../../protocol/errors.ts';
import { parseProjectUri, parseSessionId } from '../../../protocol/ids.ts';
import type { FoundPage } from '../../../protocol/schemas/search.ts';
import type { CoreContext } from '../../context.ts';
import { requireSession } from '../../session.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { layoutOf } from '../segments/layout.ts';
import { pageIdOf, pageOf, textOf } from '../page.ts';
import { fitting, recall, type Recalled } from './recall.ts';

const longestQuery = 1_000;
const usualLimit = 5;
const mostPages = 100;
/** Tools whose calls a question may be about. */
const mostProcedures = 2;
/** Of one page; the rest of it is asked for by its id. */
const longestText = 8_192;
/** Of all pages of an answer. */
const mostCharacters = 65_536;

/**
 * Pages that have something to do with a question, best first, on every branch of a session, in a project or everywhere. What is looked for
 * need not be said in the words of the question.
 *
 * @throws CwmError InvalidParameter (no text, too long a one, a limit that is not 1 to 100), InvalidSessionId, SessionNotFound.
 */
export async function searchPages(
  core: CoreContext,
  { text, session, project, modality, ...input }: RouteInput<'searchPages'>,
  signal: AbortSignal,
): Promise<RouteOutput<'searchPages'>> {
  const limit = Number(input.limit ?? usualLimit);
  if (text.trim() === '') throw new CwmError('InvalidParameter', 'There is nothing to search for.');
  if (text.length > longestQuery)
    throw new CwmError('InvalidParameter', `A search takes at most ${longestQuery} characters.`);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostPages)
    throw new CwmError('InvalidParameter', `A search for pages returns 1 to ${mostPages} of them.`);
  const within = session === undefined ? null : parseSessionId(session);
  const asked = within && (await requireSession(core, within));
  const engine = asked?.engine ?? core.engines.defaultSpec;
  const scope = {
    ...(within && { session: within }),
    ...(project !== undefined && { project: parseProjectUri(project) }),
  };
  const ranked = await recall(core.store.search, text, scope, await core.meaning.near(engine, text, scope, signal));
  const isText = modality === undefined || modality === 'text';
  const about =
    asked && isText ? (await proceduresAbout(core, asked, text)).slice(0, Math.min(limit, mostProcedures)) : [];
  const items: FoundPage[] = [...about];
  for (const each of ranked) {
    if (items.length === limit) break;
    const page = await pageAt(core, each);
    if (page && (modality === undefined || page.modality === modality)) items.push(page);
  }
  return {
    items: fitting(items, mostCharacters, ({ text: { length } }) => length),
    total: ranked.length + about.length,
  };
}

/** How the tools are called that a question is about, in the session's active branch. */
async function proceduresAbout(core: CoreContext, session: Session, text: string): Promise<readonly FoundPage[]> {
  const messages = await core.conversations.of(session);
  const memory = await core.memories.of(session);
  const pages = memory.pagesOf(messages, layoutOf(messages, memory.segments, session.tokens));
  return pages.procedures(text).flatMap((page): FoundPage[] => {
    const last = messages[page.sequence - 1];
    if (!last) return [];
    const { id: message, role, createdAt } = last;
    const said = { text: pages.derivedText(page), isCut: false };
    return [{ page: page.id, session: session.id, message, role, modality: page.modality, createdAt, ...said }];
  });
}

/** Null where the message is damaged or gone: it has been set aside, and the others are found. */
async function pageAt({ store }: CoreContext, { found }: Recalled): Promise<FoundPage | null> {
  const [message] =
    (await nullOn(
      store.messages.load(found.session, [found.message]),
      'Corrupted',
      'MessageNotFound',
      'SessionNotFound',
    )) ?? [];
  if (!message) return null;
  const whole = textOf(message);
  const text = whole.length > longestText ? whole.slice(0, longestText).toWellFormed() : whole;
  return {
    page: pageIdOf(message),
    session: found.session,
    message: message.id,
    role: message.role,
    modality: pageOf(message, null).modality,
    createdAt: message.createdAt,
    text,
    isCut: text.length < whole.length,
  };
}
