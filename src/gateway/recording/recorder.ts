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
  readonly onFailure: (error: unknown) => void;
}

/**
 * A client that runs a tool asks again within milliseconds. What storing costs must not stand in that request's way, and its answer may be stored
 * along.
 */
const restMs = 20;

/** A disk that was full is tried again after so long, in milliseconds. */
const againMs = 30_000;
/** Of so many sessions at most, what is not stored is tried again without another answer. */
const mostTried = 1000;

/** An answer that passed and is not stored. */
interface Unrecorded {
  readonly session: SessionId;
  /** In words. */
  readonly why: string;
  /** Of the first one that is missing. ISO 8601. */
  readonly since: string;
}

interface Missing extends Unrecorded {
  readonly client: string;
  /** Storing it was tried, so that the next answer may fare the same. */
  readonly hasFailed: boolean;
  /** What would be stored: the oldest first, without token ids. Empty where only another answer stores it. */
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
 * Stores what passed, behind the stream. A failure costs no answer: what could not be stored is tried again with the conversation's next
 * answer, and by itself after a while.
 */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #queue = new KeyedQueue<SessionId>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #waiting = new Map<SessionId, Waiting>();
  readonly #storing = new Set<SessionId>();
  /** Why the next answer of a session may not be stored. */
  readonly #unrecorded = new Map<SessionId, string>();
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
    const all = [...this.#missing.values()].filter((each) => each.client === client);
    return all.map(({ session, why, since }) => ({ session, why, since }));
  }

  /** The answer passes, and is stored with a later one. */
  keepBack({ session, client }: Conversation, why: string): void {
    this.#miss(session, client, why, null);
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
        // The next turn thaws it.
        if (isCwmError(error, 'AlreadyFrozen')) conversation.mayBeCold = true;
        else this.#failedToStore(error, conversation, next.recordings);
      });
    this.#run(work);
  }

  #run(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** What is not stored is tried again, until one of it fails again: most failures are those of the disk. Never rejects. */
  async #tryAgain(): Promise<void> {
    for (const { session, recordings } of this.#missing.values()) {
      if (recordings.length === 0) continue;
      try {
        const batches = recordings.map((each) => [each]);
        await this.#queue.run(session, () => this.#attempt(session, batches));
      } catch (error) {
        if (!isCwmError(error, 'AlreadyFrozen', ...goneErrors)) return;
        this.#missing.delete(session);
      }
    }
  }

  #tryAgainLater(): void {
    if (this.#isClosed || this.#again || ![...this.#missing.values()].some(({ recordings }) => recordings.length > 0))
      return;
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

  #failedToStore(error: unknown, { session, client }: Conversation, recordings: readonly Recording[]): void {
    this.#parts.onFailure(error);
    // What was said goes on as another session, with all that the client sends.
    if (isCwmError(error, ...goneErrors)) return void this.#missing.delete(session);
    const why = error instanceof Error ? error.message : String(error);
    if (isCwmError(error, 'StorageFull')) this.#whyNothing = why;
    this.#miss(session, client, why, recordings);
    this.#tryAgainLater();
  }

  #miss(session: SessionId, client: string, why: string, failed: readonly Recording[] | null): void {
    const { since = this.#parts.clock.now().toISOString(), recordings: before = [] } = this.#missing.get(session) ?? {};
    const isTried = this.#missing.size < mostTried || before.length > 0;
    const kept = isTried ? [...before, ...(failed ?? []).map(withoutIds)].filter(isUnstored) : [];
    this.#missing.set(session, { session, client, why, since, hasFailed: failed !== null, recordings: kept });
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
    const { answer, system, engine, description, lineage, reuse, isVolatile } = last;
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
      const weighed = recordings.flatMap((each) => weighedOf(each, before));
      await outside.record({ session, after, messages, system, ids, earlier, weighed, reuse, description, isVolatile });
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

function weighedOf({ answer, importance }: Recording, before: BeforeOf): Weighed[] {
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
