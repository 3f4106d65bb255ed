import type { Segment } from '../../../protocol/memory/records.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { isExcerpted } from '../../prompt/excerpt.ts';
import { renderPrompt } from '../../prompt/prompt.ts';
import type { CoreContext } from '../../context.ts';
import type { ToolDefinition } from '../../ports/tools.ts';
import type { Budget } from './budget.ts';
import { compressed } from '../compress.ts';
import { chooseBatch, type Batch, type Resident } from '../eviction/chooseBatch.ts';
import { thrashingOf } from '../eviction/comeBacks.ts';
import { isTurnStart } from '../pages/conversationPages.ts';
import { countPages } from '../pages/countPages.ts';
import { packPages, type Pack } from '../pages/packPages.ts';
import { policyOf } from '../plugins.ts';
import { countText } from './count.ts';
import { extractClaims, extractSummary, strongestClaims } from './extract.ts';
import { nextSegment, sealedCount, shownOf, type Layout } from './layout.ts';
import type { SessionMemory } from '../memories.ts';
import { pageIdOf, textOf } from '../page.ts';
import type { Remembering } from '../remembering.ts';
import { heldLine, hintLengths, indexLine, quoted, segmentText, type SegmentContent } from './segmentText.ts';
import { summarize } from './summarize.ts';

/** Shares of `evictAt`: of one segment, and of all of them before the older ones become one. */
const segmentShare = 0.045;
const segmentsShare = 0.35;
/** The same on a server that computes them again with each batch all the same: there, one in their place breaks nothing. */
const lostSegmentsShare = 0.18;
/** A page to which somebody gave as much stays whole as far as there is room, whatever the policy. No role has as much by itself. */
const protectedImportance = 0.9;
const leastSegmentTokens = 96;
const mostSegmentTokens = 1200;
const charactersPerToken = 4;

export interface Sealing {
  readonly core: CoreContext;
  readonly turn: Remembering;
  readonly memory: SessionMemory;
  readonly layout: Layout;
  /** Messages of the request that the conversation does not have yet. */
  readonly added: readonly Message[];
  /** What the last prompt listed. */
  readonly tools: readonly ToolDefinition[];
  readonly budget: Budget;
  /** Tokens of the request's messages now. */
  readonly used: number;
  readonly progress: (step: string) => void;
}

export interface Sealed {
  readonly layout: Layout;
  /** What is not stored yet. */
  readonly made: readonly Segment[];
}

/**
 * The layout after the oldest messages have left the prompt, in one batch that ends where a turn ends. A segment that another branch made of
 * the same messages is used again.
 *
 * @returns null where nothing can leave.
 * @throws CwmError Cancelled.
 */
export async function seal(sealing: Sealing, signal: AbortSignal): Promise<Sealed | null> {
  const { core, turn, memory, layout, budget } = sealing;
  const shared = nextSegment(turn.messages, memory.segments, layout);
  if (shared) return { layout: [...layout, shared], made: [] };
  const tail = turn.messages.slice(sealedCount(layout));
  const pages = memory.pagesOf(turn.messages, layout);
  const counts = await countPages(turn.engine, pages, tail, signal);
  const segmentTokens = segmentTokensOf(budget);
  const { protected: cameBack, of: thrashOf } = thrashingOf(memory);
  const residents = tail.flatMap((message, at): Resident[] => {
    const page = pages.at(message.sequence);
    if (!page) return [];
    const stands = [page.id, ...page.represents.map((each) => each.page)];
    return [
      {
        message,
        page,
        tokens: counts[at] ?? 0,
        isPinned: isPinned(sealing)(message),
        isProtected:
          page.pinnedBy === 'plan' ||
          (memory.importances.get(page.id) ?? 0) >= protectedImportance ||
          stands.some((id) => cameBack.has(id)),
        thrash: Math.max(...stands.map(thrashOf)),
      },
    ];
  });
  const policy = policyOf(core.memoryPlugins, turn.session.settings?.memory ?? {});
  const batch = chooseBatch({
    ...sealing,
    policy,
    residents,
    segmentTokens,
    ...memory.measured,
  });
  if (batch === null) return null;
  const leaving = residents.slice(0, batch.cut);
  const run = leaving.map(({ message }) => message);
  const replacedTokens = sumOf(leaving.map(({ tokens }) => tokens));
  sealing.progress(`Replacing ${run.length} older messages by a summary`);
  const held = await packHeld(sealing, batch, signal);
  const pinnedTokens = sumOf(leaving.map(({ tokens, isPinned: stays }) => (stays ? tokens : 0)));
  const size = { segmentTokens: segmentTokens + pinnedTokens + held.tokens, replacedTokens };
  const segment = await makeSegment(sealing, { run, held, policy: policy.name }, size, signal);
  const folded = await fold(sealing, segment, signal);
  const next = folded ? [folded, segment] : [...layout, segment];
  return { layout: next, made: folded ? [segment, folded] : [segment] };
}

/** Pages that stay in the segment, compressed before they leave: whole, reduced or as an abstract, as far as there is room. */
function packHeld({ core, turn }: Sealing, { held, heldTokens }: Batch, signal: AbortSignal): Promise<Pack> {
  const { compressors } = core.memoryPlugins;
  return packPages(
    held.map(({ page, message }) => ({
      page: page.id,
      textAt: (level) => compressed(compressors, message, page.modality, level),
    })),
    heldTokens,
    [0, 1, 2],
    (text) => countText(turn.engine, heldLine('', text), signal),
  );
}

/** By the user; and the question of the turn that is under way, where its beginning leaves: the model works on it. */
const isPinned =
  ({ memory, turn, added }: Pick<Sealing, 'memory' | 'turn' | 'added'>) =>
  (message: Message): boolean =>
    memory.pinned.has(pageIdOf(message)) ||
    (added.length === 0 && message === turn.messages.findLast((each) => isTurnStart(each)));

const pinsOf = (sealing: Sealing, messages: readonly Message[]): SegmentContent['pins'] =>
  messages.filter(isPinned(sealing)).map((message) => ({ page: pageIdOf(message), text: pinnedText(message) }));

const pinnedText = (message: Message): string =>
  isExcerpted(message)
    ? renderPrompt([message])
        .map(({ content }) => content)
        .join('')
    : textOf(message);

/** What a new segment may take. */
export const segmentTokensOf = ({ evictAt }: Budget): number =>
  Math.min(mostSegmentTokens, Math.max(leastSegmentTokens, Math.floor(evictAt * segmentShare)));

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

interface SegmentSize {
  readonly segmentTokens: number;
  readonly replacedTokens: number;
}

async function makeSegment(
  sealing: Sealing,
  { run, held, policy }: { readonly run: readonly Message[]; readonly held: Pack; readonly policy: string },
  { segmentTokens, replacedTokens }: SegmentSize,
  signal: AbortSignal,
): Promise<Segment> {
  const { core, turn, memory, layout, budget, used } = sealing;
  const [first] = run;
  const last = run.at(-1);
  if (!first || !last) throw new TypeError('a segment of no messages');
  const ownTokens = segmentTokensOf(budget);
  const characters = ownTokens * charactersPerToken;
  const shown = shownOf(turn.messages, layout);
  const maxTokens = Math.max(24, Math.floor(ownTokens * 0.3));
  const besideTools = budget.room + budget.answer - used;
  const asked = { shown, tools: sealing.tools, besideTools, last, maxTokens };
  const ofModel = await summarize(core, turn, asked, signal);
  const claims = extractClaims(run, characters * 0.25);
  const content: Omit<SegmentContent, 'index' | 'unlisted'> = {
    id: memory.nextSegmentId,
    firstSequence: first.sequence,
    lastSequence: last.sequence,
    summary: ofModel ?? extractSummary(run, characters * 0.3),
    summaryBy: ofModel === null ? 'extract' : 'engine',
    pins: pinsOf(sealing, run),
    held: held.included,
    claims: claims.map(({ message, text }) => ({ page: pageIdOf(message), text })),
  };
  const { text, tokens, listed } = await fitted(turn, content, run, segmentTokens, signal);
  const { id, firstSequence, lastSequence, summary, summaryBy, pins } = content;
  return {
    type: 'segment',
    id,
    from: first.id,
    to: last.id,
    firstSequence,
    lastSequence,
    summary,
    summaryBy,
    text,
    tokens,
    replacedTokens,
    claims: [...content.claims],
    decided: { policy, used, evictAt: budget.evictAt, target: budget.target, room: budget.room },
    pages: [
      ...pins.map(({ page }) => ({ page, level: 0 as const })),
      ...held.included.map(({ page, level }) => ({ page, level })),
      ...listed.map((message) => ({ page: pageIdOf(message), level: 3 as const })),
    ],
    at: core.clock.now().toISOString(),
  };
}

/** The text with as much of the index as the tokens allow: first with shorter hints, then with fewer pages. */
async function fitted(
  { engine, session }: Pick<Remembering, 'engine' | 'session'>,
  content: Omit<SegmentContent, 'index' | 'unlisted'>,
  run: readonly Message[],
  segmentTokens: number,
  signal: AbortSignal,
): Promise<Fitted> {
  // Without tools, nobody can ask for a page by its id.
  const isPassive = session.settings?.memory?.vmMode === 'passive';
  const pages = isPassive ? [] : run.filter(({ role }) => role === 'user' || role === 'tool');
  const withIndex = async (count: number, hint: number): Promise<Fitted> => {
    const listed = spread(pages, count);
    const index = listed.map((message) => indexLine(message, hint));
    const text = segmentText({ ...content, index, unlisted: run.length - count });
    return { text, tokens: await countText(engine, text, signal), listed };
  };
  for (const hint of hintLengths) {
    const fitting = await withIndex(pages.length, hint);
    if (fitting.tokens <= segmentTokens) return fitting;
  }
  let count = pages.length;
  for (;;) {
    count = Math.floor(count / 2);
    const fitting = await withIndex(count, 0);
    if (fitting.tokens <= segmentTokens || count === 0) return fitting;
  }
}

interface Fitted {
  readonly text: string;
  readonly tokens: number;
  /** The messages that the index names. */
  readonly listed: readonly Message[];
}

/** `count` of the items, evenly chosen. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (count >= items.length) return items;
  return items.filter(
    (_, at) => Math.floor(((at + 1) * count) / items.length) > Math.floor((at * count) / items.length),
  );
}

/** One segment in place of all older ones, once they take too much of the prompt; null: they do not. */
async function fold(sealing: Sealing, newest: Segment, signal: AbortSignal): Promise<Segment | null> {
  const { core, turn, memory, layout, budget } = sealing;
  const [first] = layout;
  const last = layout.at(-1);
  const taken = sumOf(layout.map(({ tokens, text }) => tokens ?? text.length));
  const share = 2 * memory.measured.lostInFront >= taken ? lostSegmentsShare : segmentsShare;
  if (!first || !last || layout.length < 2 || taken + (newest.tokens ?? 0) <= budget.evictAt * share) return null;
  const messages = turn.messages.slice(first.firstSequence - 1, last.lastSequence);
  const pages = memory.pagesOf(turn.messages, layout);
  const pinnedTokens = sumOf(await countPages(turn.engine, pages, messages.filter(isPinned(sealing)), signal));
  const segmentTokens = 2 * segmentTokensOf(budget) + pinnedTokens;
  const characters = segmentTokens * charactersPerToken * 0.9;
  const said = layout.flatMap(({ claims = [] }) => claims);
  const summaryShare = said.length === 0 ? 1 : 0.4;
  const id = `s${Number(newest.id.slice(1)) + 1}`;
  const { firstSequence } = first;
  const { lastSequence } = last;
  for (const [at, [ofSummaries, ofClaims]] of foldShares.entries()) {
    const summaries = layout.map((each) =>
      shortened(each, Math.floor((characters * summaryShare * ofSummaries) / layout.length)),
    );
    const index = layout.map(
      (each, at) =>
        `${each.id} (messages ${each.firstSequence} to ${each.lastSequence}): ${quoted(summaries[at] ?? '')}`,
    );
    const claims = strongestClaims(said, characters * (1 - summaryShare) * ofClaims);
    const content: SegmentContent = {
      id,
      firstSequence,
      lastSequence,
      summary: '',
      summaryBy: 'extract',
      claims,
      held: [],
      pins: pinsOf(sealing, messages),
      index,
      unlisted: 0,
    };
    const text = segmentText(content);
    const tokens = await countText(turn.engine, text, signal);
    if (tokens > segmentTokens && at < foldShares.length - 1) continue;
    return {
      type: 'segment',
      id,
      from: first.from,
      to: last.to,
      firstSequence,
      lastSequence,
      // No more than the prompt has of it: the segments that it covers have the rest.
      summary: summaries.join(' '),
      summaryBy: 'extract',
      text,
      tokens,
      replacedTokens: sumOf(layout.map(({ replacedTokens }) => replacedTokens)),
      covers: layout.map((each) => each.id),
      claims,
      pages: content.pins.map(({ page }) => ({ page, level: 0 as const })),
      at: core.clock.now().toISOString(),
    };
  }
  return null;
}

/** Shares of the summaries and of the claims in what a fold may take, tried in turn: what was decided gives way last. */
const foldShares = [
  [1, 1],
  [1 / 2, 1],
  [1 / 8, 1],
  [1 / 16, 1 / 2],
  [1 / 16, 1 / 4],
] as const;

/** A segment's own claims say more than its summary where a model made the summary. Where they are recorded, they stand beside it. */
function shortened({ text, summary, claims: recorded, covers }: Segment, characters: number): string {
  const claims = recorded ? [] : (text.match(/^Said \([^)]*\): .*$/gm) ?? []);
  const whole = [...claims.map((line) => line.replace(/^Said /, '')), summary].join(' ');
  if (!covers || whole.length <= characters) return whole.slice(0, characters).toWellFormed();
  // The summary of a fold ends with what was said last.
  const half = Math.max(0, Math.floor((characters - gap.length) / 2));
  return `${whole.slice(0, half)}${gap}${whole.slice(whole.length - half)}`.toWellFormed();
}

const gap = ' … ';
