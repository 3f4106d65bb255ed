import type { MessageId } from '../../../protocol/ids.ts';
import type { MemoryPage, PinReason, StorageTier } from '../../../protocol/memory/page.ts';
import type { MemorySearch, Mutation, Segment } from '../../../protocol/memory/records.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { isExcerpted } from '../../prompt/excerpt.ts';
import { pageIdOf, pageOf, parsePageId } from '../page.ts';
import { knownCount } from '../segments/count.ts';
import { sealedCount, type Layout } from '../segments/layout.ts';
import { copiesIn } from './copiesIn.ts';
import { namesTool, procedureId, procedurePage, type Taught } from './procedurePages.ts';
import { Representations, type Representation } from './representations.ts';
import { segmentPages, segmentPageText } from './segmentPages.ts';
import { PageTable } from './pageTable.ts';

/** Turns whose messages stay as they are (S1-42). */
export const recentTurns = 3;

/** What the pages of a conversation are derived from. */
interface Source {
  readonly messages: readonly Message[];
  /** What the next prompt begins with. */
  readonly layout: Layout;
  readonly memory: {
    segment(id: string): Segment | null;
    readonly pinned: ReadonlySet<string>;
    /** Given by somebody, by page. Default: none. */
    readonly importances?: ReadonlyMap<string, number>;
    readonly mutations: readonly Mutation[];
    readonly searches: readonly MemorySearch[];
  };
  /** What calls of a tool taught. Null: nothing yet. Default: no tool has a page. */
  readonly taughtBy?: (tool: string, messages: readonly Message[]) => Taught | null;
}

/**
 * The pages of one conversation. Each look at them brings their table up to date first, and that takes what changed since the last look: a turn
 * of a long conversation registers two messages.
 */
export class ConversationPages {
  readonly table = new PageTable();
  readonly #l1 = new Representations();
  #messages: readonly Message[] = [];
  #layout: Layout = [];
  #pinned: ReadonlySet<string> = new Set();
  #importances: ReadonlyMap<string, number> = new Map();
  /** Ids of the pages that are pinned because they are recent, or the plan. */
  #byItself = new Map<string, PinReason>();
  #plan: string | null = null;
  readonly #accesses = new Map<string, { count: number; at: number }>();
  /** Where pages of elsewhere are when no text of them is in memory. */
  readonly #storedIn = new Map<string, 'L2' | 'L3'>();
  /** Texts of the pages of tools, by the tool's name. */
  readonly #procedures = new Map<string, string>();
  #memory: Pick<Source['memory'], 'segment'> = { segment: () => null };
  #mutationsSeen = 0;
  #searchesSeen = 0;

  /** @returns itself, as the conversation is now. */
  of({ messages, layout, memory, taughtBy = () => null }: Source): this {
    this.#memory = memory;
    this.#readLog(memory);
    this.#weigh(memory.importances ?? new Map());
    this.#follow(messages, sealedCount(layout), taughtBy);
    this.#place(layout, memory);
    this.#pin(memory.pinned);
    return this;
  }

  /** The page at a place of the conversation, 1-based. */
  at(sequence: number): MemoryPage | null {
    const message = this.#messages[sequence - 1];
    return message ? this.table.get(pageIdOf(message)) : null;
  }

  /** The message of this conversation whose text a page is; null: it is a summary, or of another branch. */
  messageOf({ sequence, messageIds, kind }: MemoryPage): Message | null {
    const message = kind === 'procedure' ? null : this.#messages[sequence - 1];
    return message && messageIds.length === 1 && messageIds[0] === message.id ? message : null;
  }

  /** The text of a page that is made of others: a summary, a part of one, or how a tool is called. */
  derivedText(page: MemoryPage): string {
    return page.kind === 'procedure'
      ? (this.#procedures.get(page.id.slice(procedureId('').length)) ?? '')
      : segmentPageText(page, (id) => this.#memory.segment(id));
  }

  /** How tools are called: all of them, or those that a question is about. */
  procedures(question?: string): readonly MemoryPage[] {
    return [...this.#procedures.keys()]
      .filter((tool) => question === undefined || namesTool(question, tool))
      .flatMap((tool) => this.table.get(procedureId(tool)) ?? []);
  }

  /** The page of this conversation that a name stands for, as a model may write it. */
  named(name: string): MemoryPage | null {
    return this.table.resolve(name, () => {
      const parsed = parsePageId(name);
      if (!parsed) return name;
      const { sequence, digits } = parsed;
      const here = this.#messages[sequence - 1];
      const id = here ? pageIdOf(here) : null;
      return id !== null && (digits === null || id.endsWith(`-${digits}`)) ? id : `p${sequence}-${digits ?? ''}`;
    });
  }

  /** A page of another branch, or of a window alone, is known from now on, by its id. */
  addElsewhere(message: Message, tier: 'L2' | 'L3'): MemoryPage {
    const entry = this.#entryOf(message, null, tier);
    this.#storedIn.set(entry.id, tier);
    this.table.register({ ...entry, tokens: this.table.get(entry.id)?.tokens ?? entry.tokens });
    return this.table.get(entry.id) ?? entry;
  }

  setTokens(id: string, tokens: number): void {
    const before = this.table.get(id);
    if (before && before.tokens !== tokens) this.table.update(id, { tokens });
  }

  /** The text of a page at a level, if it is in memory, with its tokens. */
  recall(id: string, level: Representation['level']): Representation | null {
    return this.#l1.get(id, level);
  }

  /** Keeps a text of a page in memory: the page is in L1 unless the prompt has it. */
  remember(id: string, representation: Representation): void {
    const gone = this.#l1.set(id, representation);
    if (gone !== null && this.table.get(gone)?.tier === 'L1')
      this.table.update(gone, { tier: this.#storedIn.get(gone) ?? 'L2' });
    const tier = this.table.get(id)?.tier;
    if (tier === 'L2' || tier === 'L3') this.table.update(id, { tier: 'L1' });
  }

  #readLog({ mutations, searches }: Source['memory']): void {
    const count = (id: string, at: number): void => {
      const access = { count: (this.#accesses.get(id)?.count ?? 0) + 1, at };
      this.#accesses.set(id, access);
      if (this.table.get(id)) this.table.update(id, { accesses: access.count, accessedAt: access.at });
    };
    for (const { what, page, sequence } of mutations.slice(this.#mutationsSeen))
      if (what === 'fault_in') count(page, sequence);
    for (const { pages, sequence } of searches.slice(this.#searchesSeen))
      for (const page of pages) count(page, sequence);
    this.#mutationsSeen = mutations.length;
    this.#searchesSeen = searches.length;
  }

  #weigh(importances: ReadonlyMap<string, number>): void {
    const before = this.#importances;
    this.#importances = new Map(importances);
    for (const id of new Set([...before.keys(), ...importances.keys()])) {
      const sequence = parsePageId(id)?.sequence ?? 0;
      const message = this.#messages[sequence - 1];
      if (before.get(id) === importances.get(id) || !message || !this.table.get(id)) continue;
      this.table.update(id, { importance: importances.get(id) ?? pageOf(message, null).importance });
    }
  }

  /** Messages that are not in the conversation any more leave the table, and new ones enter it. */
  #follow(messages: readonly Message[], sealed: number, taughtBy: NonNullable<Source['taughtBy']>): void {
    const before = this.#messages;
    if (messages === before) return;
    const shared = sharedCount(before, messages);
    const gone = before.slice(shared);
    for (const message of gone) this.table.remove(pageIdOf(message));
    this.#messages = messages;
    if (shared < before.length) this.#plan = null;
    // The answer tells how many tokens the message before it had.
    for (let at = Math.max(0, shared - 1); at < messages.length; at++) {
      const message = messages[at]!;
      const tier = at < sealed ? 'L2' : 'L0';
      const entry = this.#entryOf(message, knownCount(messages, at), tier);
      this.table.register(
        entry.tokens === null ? { ...entry, tokens: this.table.get(entry.id)?.tokens ?? null } : entry,
      );
    }
    this.#learn([...gone, ...messages.slice(shared)], taughtBy);
    const from = shared < before.length ? 0 : shared;
    const plan = messages.slice(from).findLast(({ content }) => content.type === 'plan');
    if (plan) this.#plan = pageIdOf(plan);
  }

  /** The pages of the tools whose results came or went. */
  #learn(changed: readonly Message[], taughtBy: NonNullable<Source['taughtBy']>): void {
    const tools = new Set(changed.flatMap(({ content }) => (content.type === 'tool-result' ? [content.name] : [])));
    for (const tool of tools) {
      const id = procedureId(tool);
      this.#l1.forget(id);
      const taught = taughtBy(tool, this.#messages);
      if (!taught) {
        this.table.remove(id);
        this.#procedures.delete(tool);
        continue;
      }
      const made = procedurePage(tool, taught, this.#messages);
      const access = this.#accesses.get(id);
      this.#procedures.set(tool, made.text);
      this.table.register({
        ...made.page,
        tier: 'L2',
        accesses: access?.count ?? 0,
        accessedAt: access?.at ?? made.page.sequence,
      });
    }
  }

  /** What the prompt has and what left it, after segments were sealed, folded or given up. */
  #place(layout: Layout, memory: Source['memory']): void {
    const before = this.#layout;
    const isSame = layout.length === before.length && layout.every(({ id }, at) => id === before[at]?.id);
    const [sealedBefore, sealed] = [sealedCount(before), sealedCount(layout)];
    this.#layout = layout;
    if (!isSame) {
      for (const segment of [...before, ...coveredBy(before, memory)])
        for (const { id } of segmentPages(segment, 'L2')) this.table.remove(id);
      for (const segment of coveredBy(layout, memory))
        for (const page of segmentPages(segment, 'L2')) this.table.register(page);
      for (const segment of layout) for (const page of segmentPages(segment, 'L0')) this.table.register(page);
    }
    for (let at = Math.min(sealedBefore, sealed); at < Math.max(sealedBefore, sealed); at++) {
      const message = this.#messages[at];
      const id = message && pageIdOf(message);
      const tier = at >= sealed ? 'L0' : id !== undefined && this.#l1.has(id) ? 'L1' : 'L2';
      if (id !== undefined && this.table.get(id)?.tier !== tier) this.table.update(id, { tier });
    }
  }

  #pin(pinned: ReadonlySet<string>): void {
    const byItself = new Map<string, PinReason>();
    let turns = 0;
    for (let at = this.#messages.length - 1; at >= 0 && turns < recentTurns; at--) {
      const message = this.#messages[at]!;
      byItself.set(pageIdOf(message), 'recent');
      if (isTurnStart(message)) turns++;
    }
    if (this.#plan !== null) byItself.set(this.#plan, 'plan');
    const changed = new Set([...this.#byItself.keys(), ...byItself.keys(), ...this.#pinned, ...pinned]);
    this.#byItself = byItself;
    this.#pinned = new Set(pinned);
    for (const id of changed) {
      const entry = this.table.get(id);
      const pinnedBy = pinned.has(id) ? 'user' : (byItself.get(id) ?? null);
      if (entry && (entry.pinnedBy !== pinnedBy || entry.pinned !== pinned.has(id)))
        this.table.update(id, { pinned: pinned.has(id), pinnedBy });
    }
  }

  #entryOf(message: Message, tokens: number | null, tier: StorageTier): MemoryPage {
    const page = pageOf(message, tokens);
    const access = this.#accesses.get(page.id);
    return {
      ...page,
      importance: this.#importances.get(page.id) ?? page.importance,
      represents: copiesIn(message),
      level: isExcerpted(message) ? 1 : 0,
      tier: tier !== 'L0' && this.#l1.has(page.id) ? 'L1' : tier,
      accesses: access?.count ?? 0,
      accessedAt: access?.at ?? message.sequence,
    };
  }
}

/** A turn begins with what the user says or gives. */
export const isTurnStart = ({ role, content }: Message): boolean => role === 'user' && content.type !== 'tool-result';

/** Segments whose place one of the layout has taken. */
function coveredBy(layout: Layout, memory: Source['memory']): Layout {
  const covered = (ids: readonly string[]): Layout =>
    ids.flatMap((id) => {
      const segment = memory.segment(id);
      return segment ? [...covered(segment.covers ?? []), segment] : [];
    });
  return covered(layout.flatMap(({ covers = [] }) => covers));
}

/** How many messages two conversations begin with alike. A message names the one before it, so that the last common one names all of them. */
function sharedCount(one: readonly Message[], other: readonly Message[]): number {
  const isShared = (at: number): boolean => idAt(one, at) !== undefined && idAt(one, at) === idAt(other, at);
  let [low, high] = [0, Math.min(one.length, other.length)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isShared(middle - 1)) low = middle;
    else high = middle - 1;
  }
  return low;
}

const idAt = (messages: readonly Message[], at: number): MessageId | undefined => messages[at]?.id;
