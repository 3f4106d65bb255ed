import * as z from 'zod/mini';
import type { Embedded, EmbeddedAs, Embedder } from '../../core/ports/search.ts';
import type { Clock } from '../../base/clock.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { Link } from '../http/link.ts';
import type { LinkFactory } from '../http/linkFactory.ts';
import { useOf } from '../vllm/models.ts';

/** A server that serves no embeddings is asked again after an hour: somebody may have started another one there. */
const askAgainMs = 3_600_000;
/** Texts of one request: a server without a GPU computes them in its time. */
const mostTexts = 8;

const entrySchema = z.looseObject({
  id: z.string(),
  /** Of a server that loads its models when they are asked for. */
  status: z.optional(z.looseObject({ value: z.optional(z.string()) })),
});
const modelsSchema = z.looseObject({ data: z.array(entrySchema) });
const vectorsSchema = z.looseObject({
  data: z.array(z.looseObject({ index: z.optional(z.number()), embedding: z.array(z.number()) })),
});

/** How a model wants its texts. Without its form it finds less. */
const forms: readonly { readonly of: RegExp; readonly question: string; readonly page: string }[] = [
  { of: /(^|[-_/])e5[-_.]/i, question: 'query: ', page: 'passage: ' },
  { of: /nomic-embed/i, question: 'search_query: ', page: 'search_document: ' },
  { of: /embedding-?gemma/i, question: 'task: search result | query: ', page: 'title: none | text: ' },
  { of: /bge-.*-en|mxbai-embed/i, question: 'Represent this sentence for searching relevant passages: ', page: '' },
];

export interface EmbeddingServerOptions {
  readonly server: string;
  readonly links: LinkFactory;
  readonly clock: Clock;
  /** As it was named. Default: the first one that is for embeddings. */
  readonly model?: string | undefined;
  /**
   * It answers chats, too: then it is asked for nothing that would have it load another model, because that may push out the one of the
   * conversation with its KV.
   */
  readonly isOfChats: boolean;
}

/** `/v1/embeddings` of a server. What it serves is found by asking, and remembered until it fails. */
export class EmbeddingServer implements Embedder {
  readonly #options: EmbeddingServerOptions;
  #model: string | null = null;
  /** Texts of a request: fewer once the server did not compute more in time. */
  #atOnce = mostTexts;
  /** By the monotonic clock; until then it counts as a server without embeddings. */
  #askAgainAtMs = 0;

  constructor(options: EmbeddingServerOptions) {
    this.#options = options;
  }

  get server(): string {
    return this.#options.server;
  }

  async embed(texts: readonly string[], as: EmbeddedAs, signal: AbortSignal): Promise<Embedded | null> {
    const { links, clock } = this.#options;
    if (clock.elapsedMs() < this.#askAgainAtMs) return null;
    const isNew = this.#model === null;
    try {
      return await links.use(signal, async (link, signal) => {
        const model = (this.#model ??= await this.#choose(link, signal));
        if (model === null) return this.#giveUp();
        const form = forms.find(({ of }) => of.test(model))?.[as] ?? '';
        return { model, vectors: await this.#vectorsOf(link, { model, texts, form }, signal) };
      });
    } catch (error) {
      if (isCwmError(error, 'Cancelled')) throw error;
      // The next server at this address may have another model.
      this.#model = null;
      if (isNew && isRefusal(error) && !isPassing(error)) return this.#giveUp();
      throw error;
    }
  }

  #giveUp(): null {
    this.#askAgainAtMs = this.#options.clock.elapsedMs() + askAgainMs;
    return null;
  }

  async #vectorsOf(link: Link, asked: Asked, signal: AbortSignal): Promise<(number[] | null)[]> {
    const { texts } = asked;
    let refusal: unknown = null;
    const askedFor = async (given: readonly string[]): Promise<(number[] | null)[]> => {
      try {
        return await requestVectors(link, { ...asked, texts: given }, signal);
      } catch (error) {
        const isLate = isCwmError(error, 'EngineTimeout');
        if (!isLate && !isOfTexts(error)) throw error;
        const half = Math.ceil(given.length / 2);
        if (isLate) this.#atOnce = Math.min(this.#atOnce, half);
        // A text that the server refuses costs no other text its vector.
        if (given.length > 1) return inRequestsOf(half, given);
        if (isLate) throw error;
        refusal = error;
        return [null];
      }
    };
    const inRequestsOf = async (most: number, given: readonly string[]): Promise<(number[] | null)[]> => {
      const all: (number[] | null)[] = [];
      while (all.length < given.length)
        all.push(...(await askedFor(given.slice(all.length, all.length + Math.min(most, this.#atOnce)))));
      return all;
    };
    const vectors = await inRequestsOf(mostTexts, texts);
    const given = vectors.filter((vector) => vector !== null);
    if (given.length === 0 && refusal !== null) throw refusal;
    if (given.some(({ length }) => length !== given[0]?.length))
      throw new CwmError('EngineFailed', `${link.label} returned vectors of several lengths.`);
    return vectors;
  }

  async #choose(link: Link, signal: AbortSignal): Promise<string | null> {
    const { model, isOfChats } = this.#options;
    if (model !== undefined) return model;
    const request = { method: 'GET', path: '/v1/models', patience: 'small', wrongAnswer: 'EngineFailed' } as const;
    const { data } = (await link.json(request, modelsSchema, signal)).value;
    const isLoaded = ({ status }: z.infer<typeof entrySchema>): boolean => status?.value === 'loaded';
    const forIt = data.filter((entry) => useOf(entry) === 'other' && (!isOfChats || isLoaded(entry)));
    if (forIt[0]) return forIt[0].id;
    // The one model of a server is loaded in any case.
    return data.length === 1 || !isOfChats ? (data[0]?.id ?? null) : null;
  }
}

interface Asked {
  readonly model: string;
  readonly texts: readonly string[];
  readonly form: string;
}

async function requestVectors(link: Link, { model, texts, form }: Asked, signal: AbortSignal): Promise<number[][]> {
  const body = { model, input: texts.map((text) => form + text), encoding_format: 'float' };
  const request = {
    method: 'POST',
    path: '/v1/embeddings',
    body,
    patience: 'brief',
    wrongAnswer: 'EngineFailed',
    once: true,
  } as const;
  const { data } = (await link.json(request, vectorsSchema, signal)).value;
  const sorted = [...data].sort((a, b) => (a.index ?? 0) - (b.index ?? 0)).map(({ embedding }) => embedding);
  const [first] = sorted;
  if (sorted.length !== texts.length || sorted.some(({ length }) => length === 0 || length !== first?.length))
    throw new CwmError('EngineFailed', `${link.label} did not return one vector for each text.`);
  return sorted;
}

const isRefusal = (error: unknown): boolean =>
  isCwmError(error, 'EngineRejected', 'EngineFailed', 'EngineDenied', 'ContextTooLong', 'NotAnEngine');

/** Whether other texts may do: not where the server is busy, wants another key, or answers what is no embedding. llama-server says 500 of a long text. */
const isOfTexts = (error: unknown): boolean =>
  isCwmError(error, 'EngineRejected', 'ContextTooLong') ||
  (isCwmError(error, 'EngineFailed') && [400, 413, 422, 500].includes(Number(error.context?.['status'])));

/** Whether it may serve embeddings all the same, a moment later: it loads its model, is too busy, or wants another key. */
const isPassing = (error: unknown): boolean =>
  isCwmError(error, 'EngineDenied') || (isCwmError(error, 'EngineFailed') && error.context?.['status'] !== undefined);
