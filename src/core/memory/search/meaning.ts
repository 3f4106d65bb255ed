import { isCwmError } from '../../../protocol/errors.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';
import type { Embedder } from '../../ports/search.ts';
import type { NearMessage } from '../../ports/search.ts';
import type { RecallScope } from './recall.ts';
import { tryMeaning } from './meaningTrial.ts';

/** Messages of one round. Their vectors are stored before the next round begins, and a turn waits for one round at most. */
const atOnce = 4;
/** A long text is embedded in parts, which models take in whole; of a very long one, only its beginning. Both in characters. */
const partLength = 1_200;
const mostParts = 6;
/** The nearest count, however near they are: models differ in what similarity means something. */
export const mostNear = 100;
/** A question is embedded while a turn waits. Later than that, in milliseconds, the search goes without. */
const patienceMs = 2_000;

/** Which of a server's models can be used, and for what it was found out. */
type Judged = { readonly model: string; readonly isUseful: boolean };

/**
 * Finds messages by what they mean, where a server turns texts into vectors. Vectors are made in the background, of sessions from whose prompt
 * something has left; turns go first. Nothing depends on them: without a server, or with one that fails, a search finds what words find.
 */
export class Meaning {
  readonly #core: () => CoreContext;
  readonly #onFailure: (error: unknown) => void;
  /** Its key among what runs in the background. */
  readonly #work = Symbol('meaning');
  /** By the session's model server. */
  readonly #judged = new Map<Embedder, Judged>();
  readonly #waiting = new Set<SessionId>();
  #running: Promise<void> | null = null;
  #isClosed = false;

  /** @param onFailure receives what is no failure of a model server's or of a record. */
  constructor(core: () => CoreContext, onFailure: (error: unknown) => void) {
    this.#core = core;
    this.#onFailure = onFailure;
  }

  /** What the session said has vectors some time later. */
  afterTurn(session: SessionId): void {
    if (this.#isClosed || !this.#core().engines.embedder) return;
    this.#waiting.add(session);
    this.#running ??= this.#embedWaiting().finally(() => (this.#running = null));
  }

  /** The messages whose meaning is nearest to a question, best first; none where no server says. @param engine of who asks. */
  async near(
    engine: string,
    question: string,
    scope: RecallScope,
    signal: AbortSignal,
  ): Promise<readonly NearMessage[]> {
    const core = this.#core();
    try {
      const embedder = core.engines.embedder?.(engine);
      if (!embedder) return [];
      const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
      // The vectors of earlier turns may be there since before the backend started.
      const judged = await this.#judge(embedder, patience);
      if (!judged?.isUseful) return [];
      const embedded = await embedder.embed([question], 'question', patience);
      const vector = embedded?.model === judged.model ? embedded.vectors[0] : undefined;
      if (!vector) return [];
      return await core.store.search.near({ model: judged.model, vector, ...scope, limit: mostNear });
    } catch (error) {
      if (signal.aborted || !isCwmError(error)) throw error;
      return [];
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

  async #embedWaiting(): Promise<void> {
    const { background, running } = this.#core();
    for (const id of this.#waiting) {
      // Turns come first: the end of one begins this again.
      if (running.size > 0) return;
      this.#waiting.delete(id);
      const isInterrupted = await background.run(this.#work, true, async (signal) => {
        await this.#embed(id, signal).catch((error: unknown) => {
          if (!isCwmError(error)) this.#onFailure(error);
        });
        return signal.aborted;
      });
      if (!isInterrupted) continue;
      this.#waiting.add(id);
      return;
    }
  }

  async #judge(embedder: Embedder, signal: AbortSignal): Promise<Judged | null> {
    const judged = this.#judged.get(embedder) ?? (await tryMeaning(embedder, signal));
    if (judged) this.#judged.set(embedder, judged);
    return judged;
  }

  async #embed(id: SessionId, signal: AbortSignal): Promise<void> {
    const core = this.#core();
    const session = await core.store.sessions.get(id);
    if (!session?.settings?.memory?.enableVm) return;
    if ((await core.memories.of(session)).segments.length === 0) return;
    const embedder = core.engines.embedder?.(session.engine);
    if (!embedder) return;
    const judged = await this.#judge(embedder, signal);
    if (!judged?.isUseful) return;
    for (;;) {
      if (signal.aborted) return;
      const messages = await core.store.search.unembedded(id, judged.model, atOnce);
      if (messages.length === 0) return;
      const parts = messages.flatMap(({ message, text }) => partsOf(text).map((part) => ({ message, part })));
      const embedded = await embedder.embed(
        parts.map(({ part }) => part),
        'page',
        signal,
      );
      if (embedded?.model !== judged.model) {
        // Another model took its place: it is judged with the next turn.
        this.#judged.delete(embedder);
        return;
      }
      const vectors = messages.map(({ message }) => ({
        message,
        vectors: embedded.vectors.filter((_, at) => parts[at]!.message === message),
      }));
      await core.store.search.keepVectors(judged.model, vectors);
    }
  }
}

function partsOf(text: string): string[] {
  const parts = [];
  for (let from = 0; from < text.length && parts.length < mostParts; from += partLength) {
    const part = text.slice(from, from + partLength).toWellFormed();
    if (part.trim() !== '') parts.push(part);
  }
  return parts.length === 0 ? [text] : parts;
}
