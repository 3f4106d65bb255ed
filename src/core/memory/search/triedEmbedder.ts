import { isCwmError, toCwmError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { EmbeddedAs, Embedder } from '../../ports/search.ts';
import { isOf, knownText, questions, tryMeaning, type TriedModel } from './meaningTrial.ts';

/** A long text is embedded in parts, which models take in whole; of a very long one, only its beginning. Both in characters. */
const partLength = 1_200;
const mostParts = 6;
/** What a model refuses as a part is given in pieces of as many characters: a part of Chinese has as many tokens as characters. */
const pieceLength = 300;
/** A model that was found to be of no use is tried again after an hour: somebody may have started another one there. */
const tryAgainMs = 3_600_000;
/** Another model may take a server's place between two requests; one that changes with each is none. */
const mostTries = 2;

/** Vectors by a model that says what texts are about. */
export interface TextVectors {
  readonly tried: TriedModel;
  /** For each text those of its parts; none where the model refuses all of them. */
  readonly vectors: readonly (readonly (readonly number[])[])[];
}

/**
 * A server whose model was found to say what texts are about. A known text goes with each request: what it becomes says whether the model is
 * still the one that was tried, since a name does not.
 */
export class TriedEmbedder {
  readonly #embedder: Embedder;
  readonly #clock: Clock;
  #tried: TriedModel | null = null;
  /** By the monotonic clock. */
  #tryAgainAtMs = 0;
  #problem: string | null = null;

  constructor(embedder: Embedder, clock: Clock) {
    this.#embedder = embedder;
    this.#clock = clock;
  }

  get server(): string {
    return this.#embedder.server;
  }

  /** The model that is used; null: none is, or nobody knows yet. */
  get model(): TriedModel | null {
    return this.#tried?.isUseful ? this.#tried : null;
  }

  /** Why the last request had no vectors, in a sentence; null: it had, or there was none. */
  get problem(): string | null {
    return this.#problem;
  }

  /** @returns null where the server has no model that says what texts are about. @throws CwmError as {@link Embedder.embed}. */
  async vectorsOf(texts: readonly string[], as: EmbeddedAs, signal: AbortSignal): Promise<TextVectors | null> {
    try {
      const found = await this.#vectorsOf(texts, as, signal);
      if (found) this.#problem = null;
      return found;
    } catch (error) {
      // Who gave up says nothing of the server.
      if (isCwmError(error) && error.name !== 'Cancelled') this.#problem = toCwmError(error).message;
      throw error;
    }
  }

  /** The model that is used, found out where nobody has yet; null: none is. @throws CwmError as {@link Embedder.embed}. */
  async ready(signal: AbortSignal): Promise<TriedModel | null> {
    const isKnown = this.model !== null && this.#problem === null;
    return isKnown ? this.model : ((await this.vectorsOf([], 'question', signal))?.tried ?? null);
  }

  async #vectorsOf(texts: readonly string[], as: EmbeddedAs, signal: AbortSignal): Promise<TextVectors | null> {
    const parts = texts.map((text) => cut(text, partLength).slice(0, mostParts));
    for (let tries = 0; tries < mostTries; tries++) {
      const tried = await this.#try(signal);
      if (!tried?.isUseful) return null;
      const whole = await this.#ask(tried, parts, as, signal);
      if (!whole) continue;
      const pieces = parts.map((each, text) =>
        each.flatMap((part, at) =>
          whole[text]![at] === null && part.length > pieceLength ? cut(part, pieceLength) : [],
        ),
      );
      const smaller = pieces.some(({ length }) => length > 0) ? await this.#ask(tried, pieces, as, signal) : [];
      if (!smaller) continue;
      return {
        tried,
        vectors: whole.map((each, text) => [...each, ...(smaller[text] ?? [])].filter((vector) => vector !== null)),
      };
    }
    this.#problem = `The model at ${this.server} changes with each request.`;
    return null;
  }

  async #try(signal: AbortSignal): Promise<TriedModel | null> {
    const isDue = !this.#tried || (!this.#tried.isUseful && this.#clock.elapsedMs() >= this.#tryAgainAtMs);
    if (!isDue) return this.#tried;
    this.#tried = await tryMeaning(this.#embedder, signal);
    this.#tryAgainAtMs = this.#clock.elapsedMs() + tryAgainMs;
    if (!this.#tried) this.#problem = `${this.server} serves no embeddings.`;
    else if (!this.#tried.isUseful)
      this.#problem = `The vectors of ${this.#tried.model.name} at ${this.server} do not say what texts are about: ${this.#tried.right} of ${questions} questions of a trial had their own answer nearest.`;
    return this.#tried;
  }

  /** @returns null where another model took the place of the one that was tried. */
  async #ask(
    tried: TriedModel,
    parts: readonly (readonly string[])[],
    as: EmbeddedAs,
    signal: AbortSignal,
  ): Promise<(readonly number[] | null)[][] | null> {
    const embedded = await this.#embedder.embed([knownText[as], ...parts.flat()], as, signal);
    const [known, ...vectors] = embedded?.vectors ?? [];
    if (!known || !isOf(tried, as, known)) {
      this.#tried = null;
      return null;
    }
    return parts.map(({ length }) => vectors.splice(0, length));
  }
}

function cut(text: string, length: number): string[] {
  const parts = [];
  for (let from = 0; from < text.length; from += length) {
    const part = text.slice(from, from + length).toWellFormed();
    if (part.trim() !== '') parts.push(part);
  }
  return parts;
}
