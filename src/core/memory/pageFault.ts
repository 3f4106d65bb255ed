import { wholeBefore } from '../../base/readableText.ts';
import type { CompressionLevel, MemoryPage, StorageTier } from '../../protocol/memory/page.ts';
import type { FaultReason } from '../../protocol/memory/records.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import type { CoreContext } from '../context.ts';
import { compressed } from './compress.ts';
import type { Engine } from '../ports/engine.ts';
import { limitOf } from './segments/budget.ts';
import { countText } from './segments/count.ts';
import { mostFaults, mostFaultTokens } from './pages/faultLimits.ts';
import { findPage, type FoundPage } from './pages/findPage.ts';
import type { Representation } from './pages/representations.ts';
import { layoutOf } from './segments/layout.ts';
import { textOf } from './page.ts';
import type { Remembering } from './remembering.ts';
import type { MemoryPlugins } from './plugins.ts';
import type { MemoryTool } from './memoryTool.ts';

/** Of the model's limit that they may take together, where that is less: the question needs room, too. */
const mostShare = 1 / 4;
const usualLevel: CompressionLevel = 2;

const name = 'page_fault';

/** Brings a page back into the prompt, as an ordinary result of a tool: everything before it stays as it is. */
export const pageFault: MemoryTool = {
  name,
  description:
    'Brings a part of this conversation back that left the prompt, or that is too long for it. Its id stands in a [memory] block, in a result of a search, or where something is left out.',
  inputSchema: {
    type: 'object',
    properties: {
      page_id: { type: 'string', description: 'id of the page, like p41-3f9a' },
      target_level: {
        type: 'integer',
        minimum: 0,
        maximum: 3,
        description:
          '0: the whole text; 1: half of it; 2, the default: an abstract, or the whole text where it is short; 3: its first words',
      },
      from_character: {
        type: 'integer',
        minimum: 0,
        description: 'reads the whole text of a long page from this character on, as much as there is room for',
      },
    },
    required: ['page_id'],
    additionalProperties: false,
  },
  readsOnly: true,
  isDestructive: false,
  async run(core, turn, given, signal) {
    const answer = await fault(core, turn, given, signal);
    return { text: JSON.stringify(answer), hasFailed: 'error' in answer };
  },
};

interface Faulted {
  readonly page: {
    readonly page_id: string;
    readonly modality: string;
    readonly level: CompressionLevel;
    readonly tier: StorageTier;
    readonly role: Message['role'];
    readonly content: string;
    /** Of a part that was asked for: its place, and where the next one begins. */
    readonly from_character?: number;
    readonly next_character?: number;
    readonly meta: { readonly source_tier: StorageTier; readonly size_bytes: number; readonly latency_ms: number };
  };
  readonly effects: { readonly promoted: boolean; readonly tokens_est: number };
}

type Answer = Faulted | { readonly error: string; readonly page_id: string };

async function fault(core: CoreContext, turn: Remembering, given: JsonObject, signal: AbortSignal): Promise<Answer> {
  const startedMs = core.clock.elapsedMs();
  const { page_id: asked, target_level: level = usualLevel, from_character: from } = given;
  if (typeof asked !== 'string') return { error: 'The argument "page_id" is missing.', page_id: '' };
  if (!isLevel(level)) return { error: 'The argument "target_level" is not 0, 1, 2 or 3.', page_id: asked };
  if (from !== undefined && !(typeof from === 'number' && Number.isInteger(from) && from >= 0))
    return { error: 'The argument "from_character" is not a whole number from 0 on.', page_id: asked };
  const { session, messages, engine, description } = turn;
  const memory = await core.memories.of(session);
  const pages = memory.pagesOf(messages, layoutOf(messages, memory.segments, session.tokens));
  const found = await findPage(core, session, pages, asked);
  if (!found)
    return {
      error:
        'There is no such page in this session. Call again with an id that the memory names, or find one with search_pages.',
      page_id: asked,
    };
  const { page, message } = found;
  const { id } = page;
  const here = pages.table.inPromptAs(id).find((each) =>
    each.page.id === id
      ? each.level === 0
      : // What came by itself the model may not have seen as this page.
        each.level <= level && from === undefined && pages.messageOf(each.page)?.role === 'tool',
  );
  if (here) return { error: inPromptAlready(here.page, id), page_id: id };
  const spent = faultsOf(messages);
  if (spent.count >= mostFaults)
    return { error: `Fault limit: ${mostFaults} pages came back in this turn already.`, page_id: id };
  const limit = limitOf(description.model, session.settings?.memory ?? { enableVm: true }) ?? Infinity;
  const left = Math.min(mostFaultTokens, Math.floor(limit * mostShare)) - spent.tokens;
  const whole = message ? textOf(message) : pages.derivedText(page);
  if (from !== undefined && from >= whole.length)
    return { error: `The page has ${whole.length} characters, so that none is left from ${from} on.`, page_id: id };
  const known = from === undefined ? pages.recall(id, level) : null;
  const { text, had } =
    known ??
    (from === undefined
      ? shortenedText(core.memoryPlugins, found, whole, level)
      : { text: await partOf(engine, whole.slice(from), left, signal), had: 0 as const });
  const tokens = known?.tokens ?? (await countText(engine, text, signal));
  if (from === undefined) pages.remember(id, { level, had, text, tokens });
  if (tokens > left || text === '')
    return {
      error: `Fault limit: the page takes ${tokens} tokens, and ${Math.max(0, left)} are left in this turn. Ask for a higher level, or for a part of it with from_character.`,
      page_id: id,
    };
  const end = (from ?? 0) + text.length;
  const reason: FaultReason = 'resolve_reference';
  await core.memories.record(session, [
    {
      type: 'mutation',
      what: 'fault_in',
      page: id,
      actor: 'model',
      reason,
      level: had,
      tokens,
      sequence: messages.at(-1)?.sequence ?? 0,
      at: core.clock.now().toISOString(),
    },
  ]);
  const latency = core.clock.elapsedMs() - startedMs;
  return {
    page: {
      page_id: id,
      modality: page.modality,
      level: had,
      tier: 'L0',
      role: message?.role ?? (page.kind === 'procedure' ? 'tool' : 'system'),
      content: text,
      ...(from !== undefined && { from_character: from, ...(end < whole.length && { next_character: end }) }),
      meta: { source_tier: page.tier, size_bytes: page.sizeBytes, latency_ms: Math.round(latency) },
    },
    effects: { promoted: true, tokens_est: tokens },
  };
}

/** As much of the beginning as the tokens allow. */
async function partOf(engine: Engine, text: string, mostTokens: number, signal: AbortSignal): Promise<string> {
  let part = text.slice(0, wholeBefore(text, Math.max(0, mostTokens) * mostCharactersPerToken));
  for (;;) {
    const tokens = await countText(engine, part, signal);
    if (tokens <= mostTokens || part === '') return part;
    const characters = Math.floor((part.length * mostTokens * 0.95) / tokens);
    part = part.slice(0, wholeBefore(part, Math.min(characters, part.length - 1)));
  }
}

/** Of plain text; a longer token is rare. */
const mostCharactersPerToken = 16;
function shortenedText(
  { compressors }: MemoryPlugins,
  { page, message }: FoundPage,
  whole: string,
  level: CompressionLevel,
): Pick<Representation, 'text' | 'had'> {
  if (!message) return { text: whole, had: 0 };
  const { text, level: had } = compressed(compressors, message, page.modality, isShort(page.sizeBytes) ? 0 : level);
  return { text, had };
}

const inPromptAlready = (here: MemoryPage, id: string): string =>
  here.id === id ? 'The page is in the prompt already.' : `The page is in the prompt already, as ${here.id}.`;

/** Of 200 tokens an abstract is not shorter. */
const isShort = (bytes: number): boolean => bytes <= 800;

const isLevel = (value: unknown): value is CompressionLevel => value === 0 || value === 1 || value === 2 || value === 3;

/** What came back since the user's last message. */
function faultsOf(messages: readonly Message[]): { readonly count: number; readonly tokens: number } {
  const begun = messages.findLastIndex(({ role }) => role === 'user');
  let count = 0;
  let tokens = 0;
  for (const { content } of messages.slice(begun + 1)) {
    if (content.type !== 'tool-result' || content.name !== name || content.outcome !== 'done') continue;
    count++;
    tokens += tokensIn(content.text);
  }
  return { count, tokens };
}

function tokensIn(result: string): number {
  try {
    const { effects } = JSON.parse(result) as Partial<Faulted>;
    return effects?.tokens_est ?? 0;
  } catch {
    // It was cut: it counts as one that takes everything.
    return mostFaultTokens;
  }
}
