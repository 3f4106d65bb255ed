import type { Clock } from '../../base/clock.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { EngineDescription, ReuseEvidence } from '../../core/ports/engine.ts';
import { outsideTag } from '../../core/sessions/outside/outsideLineages.ts';
import type { OutsideTurns } from '../../core/sessions/outside/outsideTurns.ts';
import type { Weighed } from '../../core/memory/pages/weigh.ts';
import type { EarlierAnswer, OutsideSession } from '../../core/sessions/outside/storeOutsideTurn.ts';
import type { Lineage } from '../../core/ports/lineages.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { CutReason, Message, TokensTaken } from '../../protocol/schemas/session.ts';
import { clientTags } from '../clients/clientTags.ts';
import type { Item } from '../formats/item.ts';
import type { Conversation, Said } from '../recognition/said.ts';
import type { Journal } from './journal.ts';
import { asMessage, type BeforeOf } from './asMessage.ts';

/** An answer that has come, with what led to it. */
export interface Recording {
  readonly answer: Said;
  readonly cut: CutReason | null;
  /** What the client says that the user's last message before it is worth; null: nothing. */
  readonly importance: number | null;
  readonly system: string;
  readonly engine: string;
  readonly description: EngineDescription | null;
  readonly lineage: Lineage;
  /** What the server saw; asked behind the stream where it does not tell by itself. */
  readonly ids: () => Promise<{ readonly prompt: readonly number[]; readonly output: readonly number[] } | null>;
  readonly reuse: ReuseEvidence;
  /** What the request took. */
  readonly taken: TokensTaken;
  readonly isVolatile: boolean;
  /** When it ended, in milliseconds of the monotonic clock. */
  readonly answeredMs: number;
}

export interface RecorderParts {
  readonly outside: OutsideTurns;
  readonly clock: Clock;
  readonly journal: Journal;
  /** The message that one stands behind. */
  readonly before: BeforeOf;
  /** These messages are stored now. */
  readonly onStored: (all: readonly Said[]) => void;
  /** The session of a conversation is gone, so that nothing can go on there. */
  readonly onGone: (conversation: Conversation) => void;
  /** What is not stored of a conversation is kept no longer: a request that has it brings it again. */
  readonly onDropped: (conversation: Conversation) => void;
  /** Why an answer of a client is one too many to be stored now; null: it is none, and counts. */
  readonly whyTooMany: (client: string) => string | null;
  readonly onFailure: (error: unknown) => void;
}

/**
 * A client that runs a tool asks again within milliseconds. What storing costs must not stand in that request's way, and its answer may be stored
 * along.
 */
const restMs = 20;

/** What could not be stored is tried again after so long, in milliseconds. */
const againMs = 30_000;
/** Of so many sessions at most, those that had an answer last, what is not stored is kept: it is in memory with all of its text. */
const mostMissing = 200;

/** An answer that passed and is not stored. */
interface Unrecorded {
  readonly session: SessionId;
  /** In words. */
  readonly why: string;
  /** Of the first one that is missing. ISO 8601. */
  readonly since: string;
}

interface Missing extends Omit<Unrecorded, 'session'> {
  readonly conversation: Conversation;
  /** Storing it was tried, so that the next answer may fare the same. */
  readonly hasFailed: boolean;
  /** What would be stored: the oldest first, without token ids. */
  readonly recordings: readonly Recording[];
}

/** The session has ended, or what was said last is not there any more. */
const goneErrors = ['MessageNotFound', 'SessionNotFound', 'InvalidTransition'] as const;

/** Answers of one session, each behind the one before it, that are stored together. */
interface Waiting {
  readonly recordings: Recording[];
  /** Ends the rest. */
  readonly hurry: () => void;
}

/**
 * Stores what passed, behind the stream. A failure costs no answer: what could not be stored, or was too much, is tried again with the
 * conversation's next answer, and by itself after a while.
 */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #queue = new KeyedQueue<SessionId>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #waiting = new Map<SessionId, Waiting>();
  readonly #storing = new Set<SessionId>();
  /** Why the next answer of a session may not be stored. */
  readonly #unrecorded = new Map<SessionId, string>();
  /** The one that had an answer last is the last one. */
  readonly #missing = new Map<SessionId, Missing>();
  /** Why nothing at all can be stored, until something is; null: no failure said so. */
  #whyNothing: string | null = null;
  #again: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /** Why the session's last answer is not stored, or the next one will not be; null: nothing says so. */
  whyUnrecorded(session: SessionId): string | null {
    const { hasFailed = false, why } = this.#missing.get(session) ?? {};
    return (hasFailed ? why : this.#unrecorded.get(session)) ?? this.#whyNothing;
  }

  /** What passed of a client and is not stored yet. */
  unrecordedOf(client: string): Unrecorded[] {
    const all = [...this.#missing.values()].filter(({ conversation }) => conversation.client === client);
    return all.map(({ conversation: { session }, why, since }) => ({ session, why, since }));
  }

  /** Whether the session is not there because nothing of it could be stored yet. */
  isUnstored(session: SessionId): boolean {
    const [first] = this.#missing.get(session)?.recordings ?? [];
    for (let at = first?.answer ?? null; at?.item; at = at.before) if (at.beforeId === null) return true;
    return false;
  }

  /** The answer is one too many now: it is stored with a later one, or by itself once the client may. */
  keepBack(recording: Recording, why: string): void {
    this.#miss(recording.answer.conversation, why, false, [recording]);
    this.#tryAgainLater();
  }

  /** What is not stored of a session is not stored there any more. */
  forget(session: SessionId): void {
    this.#missing.delete(session);
    this.#unrecorded.delete(session);
  }

  /** Something around a request failed, which passes all the same. @param session what can therefore not be stored. */
  failed(error: unknown, session: SessionId | null): void {
    if (session !== null) this.#unrecorded.set(session, error instanceof Error ? error.message : String(error));
    this.#parts.onFailure(error);
  }

  /** Whether something of the session is being stored. */
  isRecording(session: SessionId): boolean {
    return this.#storing.has(session);
  }

  /** Whether something of the session waits to be stored, or is being stored. */
  isPending(session: SessionId): boolean {
    return this.#waiting.has(session) || this.#storing.has(session);
  }

  /** Resolves when what passed of the session until now is stored, or cannot be. */
  storedOf(session: SessionId): Promise<void> {
    this.#waiting.get(session)?.hurry();
    return this.#queue.run(session, async () => undefined);
  }

  /** Returns at once. */
  record(recording: Recording): void {
    const { conversation } = recording.answer;
    const { session } = conversation;
    const waiting = this.#waiting.get(session);
    if (waiting && isBehind(recording.answer, waiting.recordings.at(-1)?.answer)) {
      waiting.recordings.push(recording);
      return;
    }
    const { promise: rested, resolve: hurry } = Promise.withResolvers<void>();
    const timer = setTimeout(hurry, restMs);
    const next: Waiting = { recordings: [recording], hurry };
    this.#waiting.set(session, next);
    const work = this.#queue
      .run(session, async () => {
        await rested;
        clearTimeout(timer);
        if (this.#waiting.get(session) === next) this.#waiting.delete(session);
        await this.#attempt(session, [next.recordings]);
      })
      .catch((error: unknown) => {
        if (!isCwmError(error, 'AlreadyFrozen')) this.#parts.onFailure(error);
        if (isCwmError(error, 'StorageFull')) this.#whyNothing = error.message;
        this.#failedToStore(error, conversation, next.recordings);
        this.#tryAgainLater();
      });
    this.#run(work);
  }

  #run(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** What is not stored is tried again, as far as the limits of the clients allow and until the disk is full. Never rejects. */
  async #tryAgain(): Promise<void> {
    // Those that are missing now: one that fails again beside this goes to the end of the map.
    const sessions = Array.from(this.#missing.keys());
    for (const session of sessions) {
      const missing = this.#missing.get(session);
      if (!missing) continue;
      const { conversation, hasFailed } = missing;
      if (!this.#isClosed && !hasFailed && this.#parts.whyTooMany(conversation.client) !== null) continue;
      const left = (): Recording[][] => (this.#missing.get(session)?.recordings ?? []).map((each) => [each]);
      try {
        await this.#queue.run(session, () => this.#attempt(session, left()));
      } catch (error) {
        this.#failedToStore(error, conversation, []);
        if (!this.#isClosed && isCwmError(error, 'StorageFull')) return;
      }
    }
  }

  #tryAgainLater(): void {
    if (this.#isClosed || this.#again || this.#missing.size === 0) return;
    this.#again = setTimeout(() => {
      this.#again = null;
      this.#run(this.#tryAgain().then(() => this.#tryAgainLater()));
    }, againMs);
    this.#again.unref();
  }

  /** @param batches of the session; in each, every answer stands behind the one before it. */
  async #attempt(session: SessionId, batches: readonly (readonly Recording[])[]): Promise<void> {
    this.#storing.add(session);
    try {
      for (const recordings of batches) await this.#record(recordings);
    } finally {
      this.#storing.delete(session);
    }
    this.#whyNothing = null;
    this.#unrecorded.delete(session);
    const missing = this.#missing.get(session);
    const left = missing?.recordings.filter(isUnstored) ?? [];
    if (missing && left.length > 0) this.#missing.set(session, { ...missing, recordings: left });
    else this.#missing.delete(session);
  }

  /** @param more what is missing beside that which already was. */
  #failedToStore(error: unknown, conversation: Conversation, more: readonly Recording[]): void {
    // What was said goes on as another session, with all that the client sends.
    if (isCwmError(error, ...goneErrors)) return this.forget(conversation.session);
    const isFrozen = isCwmError(error, 'AlreadyFrozen');
    // The next turn thaws it.
    if (isFrozen) conversation.mayBeCold = true;
    this.#miss(conversation, error instanceof Error ? error.message : String(error), !isFrozen, more);
  }

  #miss(conversation: Conversation, why: string, hasFailed: boolean, more: readonly Recording[]): void {
    const { session } = conversation;
    const { since = this.#parts.clock.now().toISOString(), recordings: before = [] } = this.#missing.get(session) ?? {};
    const recordings = [...before, ...more.map(withoutIds)].filter(isUnstored);
    if (more.length > 0) this.#missing.delete(session);
    this.#missing.set(session, { conversation, why, since, hasFailed, recordings });
    const [oldest] = this.#missing.values();
    if (this.#missing.size <= mostMissing || !oldest) return;
    this.forget(oldest.conversation.session);
    this.#parts.onDropped(oldest.conversation);
  }

  /** Resolves when what can be stored is. What is not is tried once more, and never again. */
  async close(): Promise<void> {
    await this.settled();
    this.#isClosed = true;
    if (this.#again) clearTimeout(this.#again);
    await this.#tryAgain();
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) {
      for (const { hurry } of this.#waiting.values()) hurry();
      await Promise.all(this.#running);
    }
  }

  async #record(recordings: readonly Recording[]): Promise<void> {
    const { outside, clock, journal, before, onStored, onGone, onFailure } = this.#parts;
    const last = recordings.at(-1);
    const added = last ? unstored(last.answer) : [];
    if (!last || added.length === 0) return;
    const { answer, system, engine, description, lineage, reuse, isVolatile, answeredMs } = last;
    const { conversation } = answer;
    const now = clock.now().toISOString();
    const missing = this.#missing.get(conversation.session)?.recordings ?? [];
    const recorded = new Map([...missing, ...recordings].map((each) => [each.answer, each]));
    const messages: Message[] = added.map(({ said, item }) => {
      const { cut = null, taken } = recorded.get(said) ?? {};
      return { ...asMessage(said, item, now, cut, before), ...(taken && { taken }) };
    });
    const session: OutsideSession = {
      id: conversation.session,
      project: conversation.project,
      lineage,
      engine,
      tags: [outsideTag, ...clientTags(conversation.client)],
    };
    const after = added[0]?.said.beforeId ?? null;
    try {
      const earlier: EarlierAnswer[] = [];
      for (const each of recordings.slice(0, -1)) earlier.push({ message: each.answer.id, ids: await each.ids() });
      const ids = await last.ids();
      const weighed = added.flatMap(({ said }) => weighedOf(said, recorded.get(said)?.importance ?? null, before));
      const turn = {
        session,
        after,
        messages,
        system,
        ids,
        earlier,
        weighed,
        reuse,
        description,
        isVolatile,
        answeredMs,
      };
      await outside.record(turn);
    } catch (error) {
      if (isCwmError(error, ...goneErrors)) onGone(conversation);
      throw error;
    }
    const stored = added.map(({ said }) => said);
    try {
      onStored(stored);
    } catch (error) {
      onFailure(error);
    }
    await journal.stored(stored).catch(onFailure);
  }
}

const isUnstored = ({ answer }: Recording): boolean => answer.item !== null;

/** Ids are as long as the prompt; the session keeps those of the last turn that had some. */
const withoutIds = (recording: Recording): Recording => ({ ...recording, ids: () => Promise.resolve(null) });

/** Whether a message that is not stored yet leads to an answer. */
function isBehind(answer: Said, earlier: Said | undefined): boolean {
  for (let at = answer.before; at?.item; at = at.before) if (at === earlier) return true;
  return false;
}

function weighedOf(answer: Said, importance: number | null, before: BeforeOf): Weighed[] {
  if (importance === null) return [];
  for (let at = before(answer); at; at = before(at))
    if (at.role === 'user') return [{ message: { id: at.id, sequence: at.length }, importance }];
  return [];
}

/** What leads to an answer and is not stored yet, oldest first. */
function unstored(answer: Said): { readonly said: Said; readonly item: Item }[] {
  const found: { said: Said; item: Item }[] = [];
  for (let at: Said | null = answer; at?.item; at = at.before) found.push({ said: at, item: at.item });
  return found.reverse();
}
