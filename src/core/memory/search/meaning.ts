import type { RouteOutput } from '../../../protocol/api.ts';
import { isCwmError, toCwmError } from '../../../protocol/errors.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { Embedder, NearMessage, UnembeddedMessage } from '../../ports/search.ts';
import type { RecallScope } from './recall.ts';
import { TriedEmbedder } from './triedEmbedder.ts';

/** Messages of one round. Their vectors are stored before the next round begins, and a turn waits for one round at most. */
const atOnce = 4;
/** Of their texts together, in characters: what a slow server has computed of a round is lost when a turn ends it. */
const longestAtOnce = 7_200;
/** The nearest count. */
export const mostNear = 100;
/** A question is embedded while somebody waits. Later than that, in milliseconds, the search goes without. */
const patienceMs = 2_000;

type SearchState = NonNullable<RouteOutput<'memoryState'>['search']>;

/**
 * Finds messages by what they mean, where a server turns texts into vectors. Vectors are made in the background, of sessions from whose prompt
 * something has left; turns go first. Nothing depends on them: without a server, or with one that fails, a search finds what words find.
 */
export class Meaning {
  readonly #core: () => CoreContext;
  readonly #onFailure: (error: unknown) => void;
  /** Its key among what runs in the background. */
  readonly #work = Symbol('meaning');
  readonly #tried = new WeakMap<Embedder, TriedEmbedder>();
  /** Work on a session, with the key for its model server that the request had after which it runs. */
  readonly #waiting = new Map<SessionId, (signal: AbortSignal) => Promise<void>>();
  #running: Promise<void> | null = null;
  #isClosed = false;

  /** @param onFailure receives what is no failure of a model server's or of a record. */
  constructor(core: () => CoreContext, onFailure: (error: unknown) => void) {
    this.#core = core;
    this.#onFailure = onFailure;
  }

  /** What the session said has vectors some time later. */
  afterTurn(session: SessionId): void {
    const { engines } = this.#core();
    if (this.#isClosed || !engines.embedder) return;
    const embed = (signal: AbortSignal): Promise<void> => this.#embed(session, signal);
    this.#waiting.set(session, engines.inThisRequest?.(embed) ?? embed);
    this.#running ??= this.#embedWaiting().finally(() => (this.#running = null));
  }

  /** The messages whose meaning is near to a question, best first; none where no server says. @param engine of who asks. */
  async near(
    engine: string,
    question: string,
    scope: RecallScope,
    signal: AbortSignal,
  ): Promise<readonly NearMessage[]> {
    try {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
      const found = await this.#embedderOf(engine)?.vectorsOf([question], 'question', patience);
      const vector = found?.vectors[0]?.[0];
      if (!vector) return [];
      const { model, leastSimilarity } = found.tried;
      return await this.#core().store.search.near({ model, vector, leastSimilarity, ...scope, limit: mostNear });
    } catch (error) {
      if (signal.aborted || !isCwmError(error)) throw error;
      return [];
    }
  }

  /** How searches of a session find what left its prompt. A server that did not answer yet, or failed last, is asked, for two seconds at most. */
  async stateOf({ id, engine }: Session): Promise<SearchState> {
    const words: SearchState = { byMeaning: false, server: null, model: null, messages: 0, embedded: 0, why: null };
    const why = 'No server embeds its texts; the setting --embeddings-server names one.';
    try {
      const embedder = this.#embedderOf(engine);
      if (!embedder) return { ...words, why };
      const { server } = embedder;
      await embedder.ready(AbortSignal.timeout(patienceMs)).catch((error: unknown) => {
        if (!isCwmError(error)) throw error;
      });
      const { model: tried, problem } = embedder;
      if (!tried)
        return { ...words, server, why: problem ?? `${server} did not answer within ${patienceMs / 1_000} s.` };
      const counts = await this.#core().store.search.vectorCounts(id, tried.model);
      return { byMeaning: problem === null, server, model: tried.model.name, ...counts, why: problem };
    } catch (error) {
      if (!isCwmError(error)) throw error;
      return { ...words, why: toCwmError(error).message };
    }
  }

  /** Resolves when nothing is being embedded. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting.clear();
    await this.#core().background.stop(this.#work);
    await this.settled();
  }

  /** Null: no server embeds texts for sessions with this engine. @throws CwmError InvalidParameter. */
  #embedderOf(engine: string): TriedEmbedder | null {
    const embedder = this.#core().engines.embedder?.(engine);
    if (!embedder) return null;
    const known = this.#tried.get(embedder);
    if (known) return known;
    const tried = new TriedEmbedder(embedder, this.#core().clock);
    this.#tried.set(embedder, tried);
    return tried;
  }

  async #embedWaiting(): Promise<void> {
    const { background, running } = this.#core();
    for (const [id, embed] of this.#waiting) {
      // Turns come first: the end of one begins this again.
      if (running.size > 0) return;
      this.#waiting.delete(id);
      const isInterrupted = await background.run(this.#work, true, async (signal) => {
        await embed(signal).catch((error: unknown) => {
          if (!isCwmError(error)) this.#onFailure(error);
        });
        return signal.aborted;
      });
      if (!isInterrupted) continue;
      if (!this.#isClosed && !this.#waiting.has(id)) this.#waiting.set(id, embed);
      return;
    }
  }

  async #embed(id: SessionId, signal: AbortSignal): Promise<void> {
    const core = this.#core();
    const session = await core.store.sessions.get(id);
    if (!session?.settings?.memory?.enableVm) return;
    if ((await core.memories.of(session)).segments.length === 0) return;
    const embedder = this.#embedderOf(session.engine);
    if (!embedder) return;
    for (let tried = await embedder.ready(signal); tried && !signal.aborted;) {
      const waiting = await core.store.search.unembedded(id, tried.model, atOnce);
      const messages = waiting.filter((_, at) => at === 0 || lengthOf(waiting.slice(0, at + 1)) <= longestAtOnce);
      if (messages.length === 0) return;
      const texts = messages.map(({ text }) => text);
      const found = await embedder.vectorsOf(texts, 'page', signal);
      if (!found) return;
      // Another model may have taken its place: it begins with the first message.
      ({ tried } = found);
      await core.store.search.keepVectors(
        tried.model,
        messages.map(({ message }, at) => ({ message, vectors: found.vectors[at]! })),
      );
    }
  }
}

const lengthOf = (messages: readonly UnembeddedMessage[]): number =>
  messages.reduce((sum, { text }) => sum + text.length, 0);
