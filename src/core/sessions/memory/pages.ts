import type { ParsedInput, RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../../protocol/ids.ts';
import { formatCount } from '../../../base/format.ts';
import type { Mutation, Segment } from '../../../protocol/memory/records.ts';
import { parsePage } from '../../../protocol/paging.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { limitOf } from '../../memory/segments/budget.ts';
import { isAskedFor } from '../../memory/eviction/comeBacks.ts';
import type { ConversationPages } from '../../memory/pages/conversationPages.ts';
import { findPage, type FoundPage } from '../../memory/pages/findPage.ts';
import { fits, layoutOf, sealedCount, type Layout } from '../../memory/segments/layout.ts';
import { SessionMemory } from '../../memory/memories.ts';
import { statsOf } from '../../memory/stats.ts';
import { derivedHint, hintOf, pageOf, textOf } from '../../memory/page.ts';
import { requireSession } from '../../session.ts';
import { addFiles } from '../../turns/prime.ts';

const mostTurns = 100;

/** A session's memory, and what the next prompt has of it. */
interface Remembered {
  readonly session: Session;
  readonly memory: SessionMemory;
  readonly messages: readonly Message[];
  readonly layout: Layout;
  readonly pages: ConversationPages;
}

async function remembered(core: CoreContext, id: SessionId, at?: number): Promise<Remembered> {
  const session = await requireSession(core, id);
  const memory = await core.memories.of(session);
  const messages = await core.conversations.of(session);
  const isOn = session.settings?.memory?.enableVm === true;
  if (at !== undefined) return asOf({ session, memory, messages }, at);
  const layout = isOn ? layoutOf(messages, memory.segments, session.tokens) : [];
  return { session, memory, messages, layout, pages: memory.pagesOf(messages, layout) };
}

/** What the prompt of an answer had. It is derived from what was recorded, like the present. @throws CwmError InvalidParameter. */
function asOf(
  { session, memory, messages: all }: Pick<Remembered, 'session' | 'memory' | 'messages'>,
  at: number,
): Remembered {
  const turn = memory.turns.find(({ sequence, answer }) => sequence === at && all[at - 1]?.id === answer);
  if (!turn)
    throw new CwmError('InvalidParameter', `No prompt is recorded for message ${at} of this conversation.`, {
      hint: 'Use the number of an answer that was made with virtual memory.',
    });
  const messages = all.slice(0, at - 1);
  const layout = turn.segments.flatMap((id) => memory.segment(id) ?? []);
  // Of that moment: what was pinned or looked up later is left out.
  const then = new SessionMemory();
  for (const record of memory.until(turn.answer)) then.add(record);
  return { session, memory: then, messages, layout, pages: then.pagesOf(messages, layout) };
}

/** What the next prompt has of a conversation, and what left it. @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, Corrupted. */
export async function memoryState(
  core: CoreContext,
  input: RouteInput<'memoryState'>,
): Promise<RouteOutput<'memoryState'>> {
  const { limit: size, offset } = parsePage(input, 50);
  const at = input.at === undefined ? undefined : Number(input.at);
  if (at !== undefined && !(Number.isInteger(at) && at > 0))
    throw new CwmError('InvalidParameter', '"at" is the number of an answer in its conversation, 1 or more.');
  const found = await remembered(core, parseSessionId(input.session), at);
  const { session, memory, messages, layout } = found;
  const { settings = {}, model, tokens } = session;
  const pages = messages.slice(offset, offset + size).flatMap((message) => {
    const page = found.pages.at(message.sequence);
    return page ? [{ ...page, hint: hintOf(message) }] : [];
  });
  const limit = limitOf({ maxModelLen: model?.maxModelLen ?? null }, settings.memory ?? { enableVm: false });
  const now = tokens && tokens.source !== 'none' ? tokens.count : null;
  const used = at === undefined ? now : (memory.turns.at(-1)?.sent ?? null);
  return {
    enableVm: settings.memory?.enableVm === true,
    limit,
    used,
    segments: [...layout],
    messages: messages.length,
    inPrompt: messages.length - sealedCount(layout),
    ratio: memory.ratio,
    recomputed: memory.turns.reduce((sum, { recomputed }) => sum + recomputed, 0),
    faults: memory.mutations.filter(isAskedFor).length,
    stats: statsOf(memory, found.pages, found, limit === null || used === null ? null : Math.max(0, limit - used)),
    ...(input.search === true && settings.memory?.enableVm && { search: await core.meaning.stateOf(session) }),
    policies: [...core.memoryPlugins.policies.keys()],
    turns: memory.turns
      .slice(-mostTurns)
      .map(({ sequence, sent, reused, recomputed }) => ({ sequence, sent, reused, recomputed })),
    pages,
    procedures: found.pages
      .procedures()
      .map((page) => ({ ...page, hint: derivedHint(page.kind, found.pages.derivedText(page)) })),
    total: messages.length,
    hasMore: offset + pages.length < messages.length,
  };
}

/** One page with its whole text. @throws CwmError InvalidSessionId, SessionNotFound, MessageNotFound, Corrupted. */
export async function memoryPage(
  core: CoreContext,
  input: RouteInput<'memoryPage'>,
): Promise<RouteOutput<'memoryPage'>> {
  const found = await remembered(core, parseSessionId(input.session));
  const { page, message } = await requirePage(core, found, input.page);
  return { page, text: message ? textOf(message) : found.pages.derivedText(page) };
}

/** When a page was in the prompt, and why it left or came back. @throws CwmError as {@link memoryPage}. */
export async function memoryHistory(
  core: CoreContext,
  input: RouteInput<'memoryHistory'>,
): Promise<RouteOutput<'memoryHistory'>> {
  const found = await remembered(core, parseSessionId(input.session));
  const { page } = await requirePage(core, found, input.page);
  const { memory, pages } = found;
  const { sequence, tier } = page;
  const isHere = pages.messageOf(page) !== null;
  // Of this branch: others may have places of the same numbers.
  const { messages } = found;
  const had = memory.turns.filter((turn) => {
    const last = turn.segments.map((id) => memory.segment(id)).at(-1);
    const isOfBranch = messages[turn.sequence - 1]?.id === turn.answer;
    return isHere && isOfBranch && turn.sequence >= sequence && (last?.lastSequence ?? 0) < sequence;
  });
  const [first] = had;
  const left = memory.segments.find(
    (segment) =>
      tier !== 'L0' &&
      !segment.covers &&
      fits(messages, segment) &&
      segment.firstSequence <= sequence &&
      sequence <= segment.lastSequence,
  );
  return {
    page: page.id,
    inPrompt: first ? { from: first.sequence, to: had.at(-1)?.sequence ?? first.sequence } : null,
    leftWith:
      left && isHere
        ? {
            segment: left.id,
            at: left.at,
            why: whyLeft(left),
          }
        : null,
    events: memory.mutations.filter((mutation) => mutation.page === page.id),
    searches: memory.searches.filter((search) => search.pages.includes(page.id)),
  };
}

function whyLeft({ firstSequence, lastSequence, decided }: Segment): string {
  const batch = `Messages ${firstSequence} to ${lastSequence} left in one batch to make room`;
  if (!decided) return `${batch}.`;
  const { policy, used, evictAt, target } = decided;
  return `${batch}: the messages took ${formatCount(used)} tokens, and from ${formatCount(evictAt)} on some leave, until ${formatCount(target)} are left at most (policy ${policy}).`;
}

/**
 * Whether a page stays whole in the prompt. Of one that came back, the copy stays: the result names it.
 *
 * @throws CwmError as {@link memoryPage}; InvalidParameter (it is made of messages, as a summary), InvalidTransition (it left the prompt already).
 */
export async function pinPage(
  core: CoreContext,
  input: ParsedInput<'pinPage'>,
  signal: AbortSignal,
): Promise<RouteOutput<'pinPage'>> {
  const id = parseSessionId(input.session);
  const pin = async () => {
    const found = await remembered(core, id);
    const { page: named, message } = await requirePage(core, found, input.page);
    if (!message)
      throw new CwmError('InvalidParameter', `Page ${named.id} stands for messages, and only these can be pinned.`, {
        hint: 'Pin the messages that it stands for, before they leave the prompt.',
      });
    const copies = found.pages.table
      .inPromptAs(named.id)
      .filter(({ page, level }) => level === 0 && found.pages.messageOf(page) !== null)
      .map(({ page }) => page);
    const page = input.pinned
      ? named.tier === 'L0'
        ? named
        : copies[0]
      : [named, ...copies].find(({ pinned }) => pinned);
    if (!page && input.pinned)
      throw new CwmError('InvalidTransition', `Page ${named.id} is not in the prompt.`, {
        hint: 'Bring it back first ("cwm memory fault").',
      });
    if (page && input.pinned !== page.pinned) {
      await core.memories.record(found.session, [byUser(core, found, page.id, input.pinned ? 'pin' : 'unpin')]);
    }
    return { page: page?.id ?? named.id, pinned: input.pinned };
  };
  return core.turns.run(id, pin, signal);
}

/**
 * Says what a page is worth: policies have what is worth less leave first, and what is worth 0.9 or more stays whole as far as there is room.
 *
 * @throws CwmError as {@link memoryPage}; InvalidParameter (it is made of messages, as a summary).
 */
export async function weighPage(
  core: CoreContext,
  { session, page: given, importance }: ParsedInput<'weighPage'>,
  signal: AbortSignal,
): Promise<RouteOutput<'weighPage'>> {
  const id = parseSessionId(session);
  const weigh = async () => {
    const found = await remembered(core, id);
    const { page, message } = await requirePage(core, found, given);
    if (!message)
      throw new CwmError('InvalidParameter', `Page ${page.id} stands for messages, and its importance is fixed.`, {
        hint: 'Give an importance to the messages that it stands for, before they leave the prompt.',
      });
    await core.memories.record(found.session, [{ ...byUser(core, found, page.id, 'update'), importance }]);
    return { page: page.id, importance: importance ?? pageOf(message, null).importance };
  };
  return core.turns.run(id, weigh, signal);
}

/**
 * Brings a page back behind the last message, also one of which the prompt has only a part.
 *
 * @throws CwmError as {@link memoryPage}, and as `prime`; InvalidParameter (the prompt has it whole).
 */
export async function faultPage(
  core: CoreContext,
  input: RouteInput<'faultPage'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<RouteOutput<'faultPage'>> {
  const session = parseSessionId(input.session);
  const found = await remembered(core, session);
  const { page, message } = await requirePage(core, found, input.page);
  const [here] = found.pages.table.inPromptAs(page.id);
  if (here?.level === 0) {
    const as = here.page.id === page.id ? '' : `, as ${here.page.id}`;
    throw new CwmError('InvalidParameter', `Page ${page.id} is in the prompt already${as}.`);
  }
  if (!message && page.kind !== 'procedure') throw noSuchPage(session, input.page);
  const text = message ? textOf(message) : found.pages.derivedText(page);
  const files = [{ path: `page ${page.id}, ${message?.role ?? page.kind}`, text }];
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

async function requirePage(core: CoreContext, { session, pages }: Remembered, given: string): Promise<FoundPage> {
  const found = await findPage(core, session, pages, given);
  if (found) return found;
  throw noSuchPage(session.id, given);
}

const noSuchPage = (session: SessionId, given: string): CwmError =>
  new CwmError('MessageNotFound', `Session "${session}" has no page "${given}".`, {
    hint: 'See "cwm memory show" for its pages.',
  });
