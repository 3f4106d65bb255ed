import { randomUUID } from 'node:crypto';
import { EngineCounters, type TokenSource } from './engineCounters.ts';
import type { PrefixCache, Prompt } from './kv/prefixCache.ts';
import { OperationFailedError, WorkerLostError, type Llama } from './worker/llamaProcess.ts';
import type { LlamaSupervisor } from './worker/llamaSupervisor.ts';
import { chooseCandidate, logprobAt, sampledCandidates, type SamplingOptions } from './worker/sampling.ts';
import type { TextRule } from './worker/grammar.ts';
import { TurnQueue } from './turnQueue.ts';
import type { NextToken, Within } from './worker/workerProtocol.ts';

export interface GenerationRequest {
  readonly promptIds: readonly number[];
  /** Prompts under different salts share no KV. */
  readonly salt: string | null;
  /** At least 1. */
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  /** How many alternatives to each token are to be named; null for none and no log-probabilities at all. */
  readonly topLogprobs: number | null;
  /**
   * What the next token must follow, asked before each one; null: nothing. As long as it is the same object, it is about one text, which began with
   * the first token that it was told for. Such tokens have no log-probabilities. Default: nothing.
   */
  readonly rule?: () => TextRule | null;
  /**
   * For a request over a context as a whole: its tail is reused, and with `store` written where it has no file. What stands behind the tail
   * is computed by itself, so that the bits are the same where there is no file. Default: full blocks only.
   */
  readonly tail?: 'load' | 'store' | undefined;
  /**
   * So many of its first tokens begin other prompts, too. Where a state cannot be cut, it is stored at the last of their full blocks, so that those
   * prompts continue there. Default: 0.
   */
  readonly sharedTokens?: number;
  /** Tokens that end the answer; such a token is the answer's last one. */
  readonly endIds: ReadonlySet<number>;
}

export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

export type GenerationEvent =
  | {
      /** The prompt is in the cache. Comes a second time when llama.cpp was replaced and the prompt evaluated again. */
      readonly type: 'prompt';
      readonly cachedTokens: number;
    }
  | {
      readonly type: 'token';
      readonly id: number;
      /** Null unless log-probabilities were asked for. */
      readonly logprob: number | null;
      readonly top: readonly TokenLogprob[];
      /** Whether it is one of `endIds`. */
      readonly isEnd: boolean;
    };

export interface EngineOptions {
  readonly supervisor: LlamaSupervisor;
  readonly cache: PrefixCache;
  readonly blockTokens: number;
  /** Prompts are evaluated up to each multiple of this; a multiple of `blockTokens`. */
  readonly batchTokens: number;
  readonly log: (message: string) => void;
}

const maxAttempts = 3;
/**
 * Where at least one token in so many had to be computed, that took far longer than a store, and is stored before the answer, so that a kill
 * in a long answer loses nothing of it. Else the answer does not wait for a store, and the one save has the answer's blocks, too: the next turn's
 * prompt begins with them, and so does a checkpoint. A llama.cpp that takes no parts of a state saves the whole sequence each time, however few
 * blocks are new.
 */
const largeShare = 8;

/** The part of a prompt that is not reused. */
interface PromptRest {
  readonly from: number;
  /** Positions at which the KV is stored. */
  readonly places: readonly number[];
  /** Number of alternatives to the token after the prompt. */
  readonly candidates: number;
  readonly within: Within | undefined;
}

/**
 * Generates text for one request at a time over a {@link PrefixCache}.
 *
 * The prompt's rest is evaluated in batches that end at fixed positions, and the part behind the last reusable block on its
 * own, so that a request gives the same bits whether its prompt was computed or read from disk.
 */
export class EmbeddedEngine {
  readonly counters = new EngineCounters();
  readonly #options: EngineOptions;
  readonly #turns = new TurnQueue();

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /**
   * Yields once the prompt is in the cache, then each token. When llama.cpp dies under it, a new one evaluates the prompt
   * again and the answer continues where it was.
   *
   * The caller must run the generator to its end or return it: others wait for that. An abort leaves what was evaluated so
   * far to the next request.
   *
   * @throws the signal's reason when aborted; WorkerLostError when llama.cpp died several times; OperationFailedError.
   */
  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, void> {
    const { counters } = this;
    counters.waiting++;
    const leave = await this.#turns.enter(signal).finally(() => counters.waiting--);
    counters.running++;
    const said: Said = { ids: [], rules: [] };
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          yield* this.#attempt(request, said, signal);
          return;
        } catch (error) {
          if (signal.aborted && error === signal.reason) throw error;
          this.#options.cache.forget();
          if (error instanceof OperationFailedError) (await this.#options.supervisor.get()).kill();
          if (!(error instanceof WorkerLostError) || attempt === maxAttempts) throw error;
          this.#options.log(`The request is computed again: ${error.message}`);
        }
      }
    } finally {
      counters.running--;
      leave();
    }
  }

  async *#attempt(
    request: GenerationRequest,
    said: Said,
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent, void, void> {
    const { cache, supervisor } = this.#options;
    const llama = await supervisor.get();
    const { promptIds: ids } = request;
    const prompt = this.#promptOf(request);
    const reused = await cache.reuse(llama, prompt);
    this.#count(request, reused);
    const isSmall = (ids.length - reused.tokens) * largeShare < ids.length;
    const storesLater = cache.canCut(llama) && isSmall && prompt.tail?.isStored !== true;
    const places = storesLater ? [] : this.#placesToStore(llama, request);
    const withinAt = grammars(request, said);
    const rest = { from: reused.tokens, places, candidates: candidatesFor(request), within: withinAt(0) };
    let next = await this.#evaluatePrompt(llama, prompt, rest, signal);
    let isWhole = true;
    try {
      yield { type: 'prompt', cachedTokens: reused.tokens };
      for (let step = 0; ; step++) {
        signal.throwIfAborted();
        const repeated = said.ids[step];
        const token = repeated === undefined ? tokenOf(next, request, step) : null;
        const id = token?.id ?? repeated ?? 0;
        // The grammar's place in the text moved with the token that was drawn.
        if (said.rules[step] && next?.greedyId !== id)
          throw new OperationFailedError('llama.cpp drew another token the second time.');
        if (token) {
          said.ids.push(id);
          this.counters.generatedTokens++;
          yield token;
        }
        if (request.endIds.has(id) || step + 1 >= request.maxTokens) return;
        next = await cache.evaluate(llama, [id], candidatesFor(request), withinAt(step + 1));
      }
    } catch (error) {
      // After any error but an abort, nobody knows what the sequence holds.
      isWhole = signal.aborted && error === signal.reason;
      throw error;
    } finally {
      // The answer is complete, or nobody wants it any more: a llama.cpp that dies now is replaced for the next request.
      if (storesLater && isWhole) await cache.storeLive(llama, prompt).catch(unlessLost);
    }
  }

  #promptOf({ promptIds: ids, salt, tail: use }: GenerationRequest): Prompt {
    const { disk } = this.#options.cache;
    if (!disk || use === undefined) return { ids, salt, hashes: disk?.hashes(ids, salt) ?? [], tail: null };
    const { blocks: hashes, tail } = disk.names(ids, salt);
    return { ids, salt, hashes, tail: tail === null ? null : { hash: tail, isStored: use === 'store' } };
  }

  /** Computes the prompt from a position on, and stores its reusable KV at these places. */
  async #evaluatePrompt(
    llama: Llama,
    prompt: Prompt,
    { from, places, candidates, within }: PromptRest,
    signal: AbortSignal,
  ): Promise<NextToken | null> {
    const { batchTokens, cache } = this.#options;
    const { ids } = prompt;
    const stops = [...places, this.#tailOf(ids.length), ...(prompt.tail ? [ids.length - 1] : []), ids.length];
    let next: NextToken | null = null;
    for (let at = from; at < ids.length;) {
      signal.throwIfAborted();
      const boundary = (Math.floor(at / batchTokens) + 1) * batchTokens;
      const end = Math.min(boundary, ...stops.filter((stop) => stop > at));
      next = await cache.evaluate(llama, ids.slice(at, end), end === ids.length ? candidates : null, within);
      if (places.includes(end)) await this.#storeBlocks(llama, prompt, end);
      at = end;
    }
    return next;
  }

  /**
   * Positions of a prompt at which its KV is stored. Where a state cannot be cut, that is where the same prompt, or a longer
   * one, will continue; one batch earlier, since a chat template may change the last tokens of a turn afterwards; and where prompts part that
   * begin alike.
   */
  #placesToStore(llama: Llama, { promptIds: { length }, sharedTokens = 0 }: GenerationRequest): readonly number[] {
    const { batchTokens, blockTokens, cache } = this.#options;
    if (cache.canCut(llama)) return [length];
    const tail = this.#tailOf(length);
    return [
      Math.min(tail, Math.floor(sharedTokens / blockTokens) * blockTokens),
      Math.floor((tail - 1) / batchTokens) * batchTokens,
      tail,
      length % blockTokens === 0 ? length : 0,
    ];
  }

  /** Where the part of a prompt begins that no request reuses. */
  #tailOf(length: number): number {
    const { blockTokens } = this.#options;
    return Math.floor((length - 1) / blockTokens) * blockTokens;
  }

  #storeBlocks(llama: Llama, prompt: Prompt, tokens: number): Promise<void> {
    return this.#options.cache.store(llama, prompt, Math.floor(tokens / this.#options.blockTokens));
  }

  #count({ promptIds }: GenerationRequest, reused: { tokens: number; source: TokenSource }): void {
    this.counters.promptTokens[reused.source] += reused.tokens;
    this.counters.promptTokens.computed += promptIds.length - reused.tokens;
  }
}

function unlessLost(error: unknown): void {
  if (!(error instanceof WorkerLostError)) throw error;
}

/** What came so far, over all tries. */
interface Said {
  readonly ids: number[];
  /** What each of them, and the one that is drawn now, had to follow. */
  readonly rules: (TextRule | null)[];
}

/** The grammar of each token in one try, with keys of its own: a try that failed left its grammars in the middle. */
function grammars({ rule, sampling }: GenerationRequest, { rules }: Said): (step: number) => Within | undefined {
  const keys = new Map<TextRule, string>();
  return (step) => {
    if (step === rules.length) rules.push(rule?.() ?? null);
    const followed = rules[step];
    if (!followed) return undefined;
    const key = keys.get(followed) ?? randomUUID();
    keys.set(followed, key);
    return { key, rule: followed, ...sampling };
  };
}

/** Number of candidates to ask llama.cpp for: none when only the greedy token is wanted. */
function candidatesFor({ sampling, topLogprobs }: GenerationRequest): number {
  if (sampling.temperature > 0) return sampledCandidates;
  return topLogprobs === null ? 0 : Math.max(1, topLogprobs);
}

function tokenOf(
  next: NextToken | null,
  request: GenerationRequest,
  step: number,
): Extract<GenerationEvent, { type: 'token' }> {
  if (!next) throw new OperationFailedError('llama.cpp gave no next token.');
  const { candidates } = next;
  const chosen = candidates ? chooseCandidate(candidates, request.sampling, step) : 0;
  const id = candidates?.ids[chosen] ?? next.greedyId;
  const ranked = candidates && request.topLogprobs !== null ? candidates : null;
  return {
    type: 'token',
    id,
    logprob: ranked && logprobAt(ranked, chosen),
    top: ranked
      ? Array.from(ranked.ids.slice(0, request.topLogprobs ?? 0), (topId, index) => ({
          id: topId,
          logprob: logprobAt(ranked, index),
        }))
      : [],
    isEnd: request.endIds.has(id),
  };
}
