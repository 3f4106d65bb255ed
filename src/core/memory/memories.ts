import { nullOn } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { MemoryRecord, MemorySearch, MemoryTurn, Mutation, Note, Segment } from '../../protocol/memory/records.ts';
import type { ContextTokens, Message, Session } from '../../protocol/schemas/session.ts';
import type { MemoryStore } from '../ports/messages.ts';
import { ConversationPages } from './pages/conversationPages.ts';
import type { Taught } from './pages/procedurePages.ts';
import { procedureOf } from './toolState/procedures.ts';
import { callsOf } from './toolState/toolHistory.ts';
import type { Pressure } from './eviction/policy.ts';
import { layoutOf, shownOf, type Layout } from './segments/layout.ts';

/** Changes of prompts that say what the next one costs, and answers that are looked at. */
const lastChanges = 3;
const mostLookedAt = 200;
/** Sessions whose records stay in memory. */
const mostSessions = 32;

/** What the memory of one session recorded, as far as prompts need it. */
export class SessionMemory {
  readonly #records: MemoryRecord[] = [];
  readonly #segments = new Map<string, Segment>();
  #sent = 0;
  /** Null: the server never said. */
  #reused: number | null = null;
  readonly #turns: MemoryTurn[] = [];
  readonly #mutations: Mutation[] = [];
  readonly #searches: MemorySearch[] = [];
  readonly #notes: Note[] = [];
  readonly #pinned = new Set<string>();
  readonly #importances = new Map<string, number>();
  /** Of the conversation that was looked at last: a branch has most of its pages in common with the others. */
  #pages = new ConversationPages();
  #model: string | null = null;
  /** How many turns there were when another model took over. */
  #turnsBefore = 0;
  /** By a hash of the model and the list of tools: what it adds to a prompt, as the server counted it. Of the lists that came last. */
  readonly toolTokens = new Map<string, number>();
  /** Models that answered a request only without the memory's own tools, by {@link modelKey}. */
  readonly takingNoTools = new Set<string>();

  add(record: MemoryRecord): void {
    this.#records.push(record);
    switch (record.type) {
      case 'segment':
        this.#segments.set(record.id, record);
        break;
      case 'turn':
        this.#turns.push(record);
        if (record.reused === null) break;
        this.#sent += record.sent;
        this.#reused = (this.#reused ?? 0) + record.reused;
        break;
      case 'mutation':
        this.#mutations.push(record);
        if (record.what === 'pin') this.#pinned.add(record.page);
        if (record.what === 'unpin') this.#pinned.delete(record.page);
        if (record.what === 'update') this.#weigh(record);
        break;
      case 'search':
        this.#searches.push(record);
        break;
      case 'note':
        this.#notes.push(record);
    }
  }

  /** What was recorded up to an answer, its own record included. */
  until(answer: string): readonly MemoryRecord[] {
    const end = this.#records.findLastIndex((record) => record.type === 'turn' && record.answer === answer);
    return this.#records.slice(0, end + 1);
  }

  /** Oldest first. */
  get segments(): readonly Segment[] {
    return [...this.#segments.values()];
  }

  segment(id: string): Segment | null {
    return this.#segments.get(id) ?? null;
  }

  /** Share of the prompts' tokens that the server reused so far, 0 to 1; null: it never said. */
  get ratio(): number | null {
    return this.#reused === null || this.#sent === 0 ? null : this.#reused / this.#sent;
  }

  /** What the present server's answers say of the next eviction, as far as they were measured. */
  get measured(): Pick<Pressure, 'reused' | 'lostInFront'> {
    const turns = this.#turns.slice(Math.max(this.#turnsBefore, this.#turns.length - mostLookedAt));
    const said = turns.filter(({ reused }) => reused !== null);
    const lost = said
      .flatMap(({ changedAt, reused }) => (changedAt === undefined ? [] : [changedAt - (reused ?? 0)]))
      .slice(-lastChanges);
    const sumOf = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0);
    const sent = sumOf(said.map((turn) => turn.sent));
    return {
      reused: sent === 0 ? null : sumOf(said.map(({ reused }) => reused ?? 0)) / sent,
      lostInFront: Math.max(0, sumOf(lost) / Math.max(1, lost.length)),
    };
  }

  /** Oldest first. */
  get turns(): readonly MemoryTurn[] {
    return this.#turns;
  }

  /** Oldest first. */
  get mutations(): readonly Mutation[] {
    return this.#mutations;
  }

  /** Of the model, oldest first. */
  get searches(): readonly MemorySearch[] {
    return this.#searches;
  }

  /** All versions of what is remembered for this session alone, oldest first. */
  get notes(): readonly Note[] {
    return this.#notes;
  }

  /** Pages that a user pinned. */
  get pinned(): ReadonlySet<string> {
    return this.#pinned;
  }

  /** Of the pages that somebody gave one: it counts instead of their role's. */
  get importances(): ReadonlyMap<string, number> {
    return this.#importances;
  }

  #weigh({ page, importance = null }: Mutation): void {
    if (importance === null) this.#importances.delete(page);
    else this.#importances.set(page, importance);
  }

  /** Another model counts other tokens: what the pages took for the one before is forgotten, and what its server reused. @param key says which one it is, by {@link modelKey}. */
  useModel(key: string): void {
    if (this.#model !== null && this.#model !== key) {
      this.#pages = new ConversationPages();
      this.#turnsBefore = this.#turns.length;
    }
    this.#model = key;
  }

  /** The pages of a conversation of the session, as they are now. @param layout what its next prompt begins with. */
  pagesOf(messages: readonly Message[], layout: Layout): ConversationPages {
    return this.#pages.of({ messages, layout, memory: this, taughtBy });
  }

  get nextSegmentId(): string {
    const numbers = this.segments.map(({ id }) => Number(id.slice(1)));
    return `s${Math.max(0, ...numbers) + 1}`;
  }
}

const taughtBy = (tool: string, messages: readonly Message[]): Taught | null => procedureOf(callsOf(messages), tool);

interface Known {
  /** A session with the same id that was made again is another one. */
  readonly createdAt: string;
  /** All that ask while it is read get the same one. */
  readonly memory: Promise<SessionMemory>;
}

/** The memories of the sessions that had a turn lately. */
export class Memories {
  readonly #store: MemoryStore;
  /** The session that was used last comes last. */
  readonly #known = new Map<SessionId, Known>();

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** @throws CwmError SessionNotFound, ReadFailed. */
  async of({ id, createdAt }: Pick<Session, 'id' | 'createdAt'>): Promise<SessionMemory> {
    const known = this.#known.get(id);
    const current = known?.createdAt === createdAt ? known : { createdAt, memory: this.#load(id) };
    this.#known.delete(id);
    this.#known.set(id, current);
    const [oldest] = this.#known.keys();
    if (this.#known.size > mostSessions && oldest !== undefined) this.#known.delete(oldest);
    try {
      return await current.memory;
    } catch (error) {
      if (this.#known.get(id) === current) this.#known.delete(id);
      throw error;
    }
  }

  async #load(id: SessionId): Promise<SessionMemory> {
    const memory = new SessionMemory();
    for (const record of await this.#store.load(id)) memory.add(record);
    return memory;
  }

  /**
   * What the engine saw of a conversation: these are its messages, and the record of its token ids.
   *
   * @throws CwmError ReadFailed.
   */
  async shown(
    session: SessionId,
    messages: readonly Message[],
    tokens: Pick<ContextTokens, 'segments'> | null,
  ): Promise<readonly Message[]> {
    if (!tokens?.segments) return messages;
    // Without the session, its windows have their messages alone.
    const records = await nullOn(this.#store.load(session), 'SessionNotFound');
    const segments = (records ?? []).filter((record) => record.type === 'segment');
    return shownOf(messages, layoutOf(messages, segments, tokens));
  }

  /** Stored first, so that no prompt has what a crash could lose. */
  async record(session: Pick<Session, 'id' | 'createdAt'>, records: readonly MemoryRecord[]): Promise<void> {
    const memory = await this.of(session);
    await this.#store.append(session.id, records);
    for (const record of records) memory.add(record);
  }
}
