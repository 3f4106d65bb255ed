import type { ParsedInput, RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../../protocol/ids.ts';
import type { MemoryPage } from '../../../protocol/memory/page.ts';
import type { Mutation } from '../../../protocol/memory/records.ts';
import { parsePage } from '../../../protocol/paging.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { limitOf } from '../../memory/segments/budget.ts';
import { findPage } from '../../memory/findPage.ts';
import { answerTokens } from '../../memory/segments/count.ts';
import { layoutOf, sealedCount, type Layout } from '../../memory/segments/layout.ts';
import type { SessionMemory } from '../../memory/memories.ts';
import { hintOf, pageIdOf, pageOf, textOf } from '../../memory/page.ts';
import { requireSession } from '../../session.ts';
import { addFiles } from '../../turns/prime.ts';

const mostTurns = 100;

/** A session's memory, and what the next prompt has of it. */
interface Remembered {
  readonly session: Session;
  readonly memory: SessionMemory;
  readonly messages: readonly Message[];
  readonly layout: Layout;
}

async function remembered(core: CoreContext, id: SessionId): Promise<Remembered> {
  const session = await requireSession(core, id);
  const memory = await core.memories.of(session);
  const messages = await core.conversations.of(session);
  const isOn = session.settings?.memory?.enableVm === true;
  return { session, memory, messages, layout: isOn ? layoutOf(messages, memory.segments, session.tokens) : [] };
}

/** What the next prompt has of a conversation, and what left it. @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, Corrupted. */
export async function memoryState(
  core: CoreContext,
  input: RouteInput<'memoryState'>,
): Promise<RouteOutput<'memoryState'>> {
  const { limit: size, offset } = parsePage(input, 50);
  const found = await remembered(core, parseSessionId(input.session));
  const { session, memory, messages, layout } = found;
  const { settings = {}, model, tokens } = session;
  const pages = messages
    .slice(offset, offset + size)
    .map((message) => ({ ...placed(found, message), hint: hintOf(message) }));
  return {
    enableVm: settings.memory?.enableVm === true,
    limit: limitOf({ maxModelLen: model?.maxModelLen ?? null }, settings.memory ?? { enableVm: false }),
    used: tokens && tokens.source !== 'none' ? tokens.count : null,
    segments: [...layout],
    messages: messages.length,
    inPrompt: messages.length - sealedCount(layout),
    ratio: memory.ratio,
    recomputed: memory.turns.reduce((sum, { recomputed }) => sum + recomputed, 0),
    faults: memory.mutations.filter(({ what }) => what === 'fault_in').length,
    turns: memory.turns
      .slice(-mostTurns)
      .map(({ sequence, sent, reused, recomputed }) => ({ sequence, sent, reused, recomputed })),
    pages,
    total: messages.length,
    hasMore: offset + pages.length < messages.length,
  };
}

/** The message as a page with its place now. */
function placed({ memory, messages, layout }: Remembered, message: Message): MemoryPage {
  const page = pageOf(message, answerTokens(message));
  const isHere = messages[message.sequence - 1]?.id === message.id && message.sequence > sealedCount(layout);
  return { ...page, tier: isHere ? 'L0' : 'L2', pinned: memory.pinned.has(page.id) };
}

/** One page with its whole text. @throws CwmError InvalidSessionId, SessionNotFound, MessageNotFound, Corrupted. */
export async function memoryPage(
  core: CoreContext,
  input: RouteInput<'memoryPage'>,
): Promise<RouteOutput<'memoryPage'>> {
  const found = await remembered(core, parseSessionId(input.session));
  const message = await requirePage(core, found, input.page);
  return { page: placed(found, message), text: textOf(message) };
}

/** When a page was in the prompt, and why it left or came back. @throws CwmError as {@link memoryPage}. */
export async function memoryHistory(
  core: CoreContext,
  input: RouteInput<'memoryHistory'>,
): Promise<RouteOutput<'memoryHistory'>> {
  const found = await remembered(core, parseSessionId(input.session));
  const message = await requirePage(core, found, input.page);
  const { memory, messages } = found;
  const { sequence } = message;
  const isHere = messages[sequence - 1]?.id === message.id;
  const had = memory.turns.filter((turn) => {
    const last = turn.segments.map((id) => memory.segment(id)).at(-1);
    return isHere && turn.sequence >= sequence && (last?.lastSequence ?? 0) < sequence;
  });
  const [first] = had;
  const left = memory.segments.find(
    (segment) => !segment.covers && segment.firstSequence <= sequence && sequence <= segment.lastSequence,
  );
  const page = pageIdOf(message);
  return {
    page,
    inPrompt: first ? { from: first.sequence, to: had.at(-1)?.sequence ?? first.sequence } : null,
    leftWith:
      left && isHere
        ? {
            segment: left.id,
            at: left.at,
            why: `Messages ${left.firstSequence} to ${left.lastSequence} left in one batch to make room.`,
          }
        : null,
    events: memory.mutations.filter((mutation) => mutation.page === page),
    searches: memory.searches.filter(({ pages }) => pages.includes(page)),
  };
}

/**
 * Whether a page stays whole in the prompt.
 *
 * @throws CwmError as {@link memoryPage}; InvalidTransition (it left the prompt already).
 */
export async function pinPage(core: CoreContext, input: ParsedInput<'pinPage'>): Promise<RouteOutput<'pinPage'>> {
  const id = parseSessionId(input.session);
  return core.turns.run(id, async () => {
    const found = await remembered(core, id);
    const page = placed(found, await requirePage(core, found, input.page));
    if (input.pinned && page.tier !== 'L0')
      throw new CwmError('InvalidTransition', `Page ${page.id} is not in the prompt.`, {
        hint: 'Bring it back first ("cwm memory fault").',
      });
    if (input.pinned !== page.pinned) {
      await core.memories.record(found.session, [byUser(core, found, page.id, input.pinned ? 'pin' : 'unpin')]);
    }
    return { page: page.id, pinned: input.pinned };
  });
}

/** Brings a page back behind the last message. @throws CwmError as {@link memoryPage}, and as `prime`. */
export async function faultPage(
  core: CoreContext,
  input: RouteInput<'faultPage'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<RouteOutput<'faultPage'>> {
  const session = parseSessionId(input.session);
  const found = await remembered(core, session);
  const message = await requirePage(core, found, input.page);
  const page = placed(found, message);
  if (page.tier === 'L0') throw new CwmError('InvalidParameter', `Page ${page.id} is in the prompt already.`);
  const files = [{ path: `page ${page.id}, ${message.role}`, text: textOf(message) }];
  const read = async () => ({ files, skipped: [] });
  const given = { session, engine: input.engine, maxTokens: undefined, read };
  const result = await addFiles(core, given, signal, { progress });
  await core.memories.record(found.session, [byUser(core, found, page.id, 'fault_in')]);
  return result;
}

const byUser = (core: CoreContext, { messages }: Remembered, page: string, what: Mutation['what']): Mutation => ({
  type: 'mutation',
  what,
  page,
  actor: 'user',
  ...(what === 'fault_in' && { reason: 'user_requested_recall' as const }),
  sequence: messages.at(-1)?.sequence ?? 0,
  at: core.clock.now().toISOString(),
});

async function requirePage(core: CoreContext, { session, messages }: Remembered, given: string): Promise<Message> {
  const message = await findPage(core, session, messages, given);
  if (message) return message;
  throw new CwmError('MessageNotFound', `Session "${session.id}" has no page "${given}".`, {
    hint: 'See "cwm memory show" for its pages.',
  });
}
