import { commonPrefixLength } from '../base/tokenIds.ts';
import type { DiskCache } from './kv/diskCache.ts';
import { EngineCounters, type TokenSource } from './engineCounters.ts';
import { OperationFailedError, WorkerLostError, type Llama } from './worker/llamaProcess.ts';
import type { LlamaSupervisor } from './worker/llamaSupervisor.ts';
import { chooseCandidate, logprobAt, sampledCandidates, type SamplingOptions } from './worker/sampling.ts';
import { TurnQueue } from './turnQueue.ts';
import type { NextToken } from './worker/workerProtocol.ts';

export interface GenerationRequest {
  readonly promptIds: readonly number[];
  /** Prompts under different salts share no KV. */
  readonly salt: string | null;
  /** At least 1. */
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  /** How many alternatives to each token are to be named; null for none and no log-probabilities at all. */
  readonly topLogprobs: number | null;
  /** Tokens that end the answer, the last of it. */
  readonly endIds: ReadonlySet<number>;
}

export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

export type GenerationEvent =
  | {
      /** The prompt is in the cache; comes again when llama.cpp had to be replaced and the prompt was evaluated anew. */
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
  /** Null when the model's state can't be cut into blocks: then only what is in memory is reused. */
  readonly disk: DiskCache | null;
  readonly blockTokens: number;
  /** Prompts are evaluated up to each multiple of this; a multiple of `blockTokens`. */
  readonly batchTokens: number;
  readonly loadTimeoutMs: number;
  readonly log: (message: string) => void;
}

/** What llama.cpp's one sequence holds. */
interface Live {
  readonly llama: Llama;
  readonly salt: string | null;
  readonly ids: number[];
  /** Leading full blocks that are the same on disk, byte for byte. */
  sealedBlocks: number;
}

const maxAttempts = 3;

/**
 * Generates text for one request at a time over a prefix cache of two tiers: the live sequence and the block files.
 *
 * Reuse follows vLLM's rule: full blocks only, never the prompt's last token. The prompt's rest is evaluated in batches that
 * end at fixed positions, and the part behind the last reusable block on its own, so that a request gives the same bits
 * whether its prompt was computed, live or read from disk.
 */
export class EmbeddedEngine {
  readonly counters = new EngineCounters();
  readonly #options: EngineOptions;
  readonly #turns = new TurnQueue();
  #live: Live | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /**
   * Yields once the prompt is in the cache, then each token. When llama.cpp dies under it, a new one evaluates the prompt
   * again and the answer goes on where it was.
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
    const said: number[] = [];
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          yield* this.#attempt(request, said, signal);
          return;
        } catch (error) {
          if (signal.aborted && error === signal.reason) throw error;
          this.#live = null;
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
    said: number[],
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent, void, void> {
    const llama = await this.#options.supervisor.get();
    const hashes = this.#options.disk?.hashes(request.promptIds, request.salt) ?? [];
    const reused = await this.#reuse(llama, request, hashes);
    this.#count(request, reused);
    let next = await this.#evaluatePrompt(llama, request, reused.tokens, signal);
    await this.#persist(llama, request.promptIds, hashes);
    yield { type: 'prompt', cachedTokens: reused.tokens };
    for (let step = 0; ; step++) {
      signal.throwIfAborted();
      const repeated = said[step];
      const token = repeated === undefined ? tokenOf(next, request, step) : null;
      const id = token?.id ?? repeated ?? 0;
      if (token) {
        said.push(id);
        this.counters.generatedTokens++;
        yield token;
      }
      if (request.endIds.has(id) || step + 1 >= request.maxTokens) return;
      next = await this.#evaluate(llama, [id], candidatesFor(request));
    }
  }

  /** Brings the sequence to the longest known prefix of the prompt. */
  async #reuse(
    llama: Llama,
    { promptIds, salt }: GenerationRequest,
    hashes: readonly string[],
  ): Promise<{ tokens: number; source: TokenSource }> {
    const { blockTokens, disk } = this.#options;
    const maxBlocks = llama.info.canTruncate ? Math.floor((promptIds.length - 1) / blockTokens) : 0;
    const liveBlocks = this.#liveBlocks(llama, promptIds, salt, hashes, maxBlocks);
    if (disk && liveBlocks < maxBlocks && disk.folder.has(hashes[liveBlocks] ?? '')) {
      const loaded = await this.#load(llama, disk, promptIds, salt, hashes, liveBlocks, maxBlocks);
      if (loaded > 0) return { tokens: loaded * blockTokens, source: 'disk' };
    }
    const tokens = liveBlocks * blockTokens;
    const live = this.#live;
    await llama.call('truncate', { length: tokens });
    this.#live = {
      llama,
      salt,
      ids: promptIds.slice(0, tokens),
      sealedBlocks: Math.min(live?.sealedBlocks ?? 0, liveBlocks),
    };
    return { tokens, source: 'device' };
  }

  /** Full blocks of the prompt that the live sequence holds. */
  #liveBlocks(
    llama: Llama,
    ids: readonly number[],
    salt: string | null,
    hashes: readonly string[],
    maxBlocks: number,
  ): number {
    const live = this.#live;
    if (!live || live.llama !== llama || live.salt !== salt) return 0;
    const common = Math.min(Math.floor(commonPrefixLength(live.ids, ids) / this.#options.blockTokens), maxBlocks);
    // An answer's rows, computed token by token, may differ in their last bits from those of the same tokens in an earlier
    // prompt. The ones on disk are those that a restart brings back, so they are the ones to use.
    for (let index = live.sealedBlocks; index < common; index++) {
      if (this.#options.disk?.folder.has(hashes[index] ?? '')) return index;
    }
    return common;
  }

  /** The number of blocks that were read from disk, when it is more than the live ones; else 0, and nothing has changed. */
  async #load(
    llama: Llama,
    disk: DiskCache,
    promptIds: readonly number[],
    salt: string | null,
    hashes: readonly string[],
    liveBlocks: number,
    maxBlocks: number,
  ): Promise<number> {
    let blocks: number;
    let path: string;
    try {
      ({ blocks, path } = disk.assemble(promptIds, hashes, maxBlocks));
    } catch (error) {
      this.#options.log(`Block files could not be used: ${String(error)}`);
      return 0;
    }
    if (blocks <= liveBlocks) return 0;
    const ids = promptIds.slice(0, blocks * disk.blockTokens);
    this.#live = null;
    try {
      const loaded = await llama.call('load', { path }, this.#options.loadTimeoutMs);
      if (loaded !== ids.length) throw new OperationFailedError(`llama.cpp loaded ${loaded} of ${ids.length} tokens.`);
    } catch (error) {
      disk.discard(hashes.slice(0, blocks));
      // After a refused load the sequence can't be used any more.
      llama.kill();
      throw error instanceof OperationFailedError ? new WorkerLostError('load', error.message) : error;
    }
    this.#live = { llama, salt, ids, sealedBlocks: blocks };
    return blocks;
  }

  async #evaluatePrompt(
    llama: Llama,
    request: GenerationRequest,
    from: number,
    signal: AbortSignal,
  ): Promise<NextToken | null> {
    const { batchTokens, blockTokens } = this.#options;
    const { promptIds } = request;
    const tail = Math.floor((promptIds.length - 1) / blockTokens) * blockTokens;
    let next: NextToken | null = null;
    for (let at = from; at < promptIds.length;) {
      signal.throwIfAborted();
      const boundary = (Math.floor(at / batchTokens) + 1) * batchTokens;
      const end = at < tail ? Math.min(boundary, tail) : promptIds.length;
      next = await this.#evaluate(
        llama,
        promptIds.slice(at, end),
        end === promptIds.length ? candidatesFor(request) : null,
      );
      at = end;
    }
    return next;
  }

  async #evaluate(llama: Llama, ids: readonly number[], candidates: number | null): Promise<NextToken | null> {
    const next = await llama.call('evaluate', { ids: Uint32Array.from(ids), candidates });
    this.#live?.ids.push(...ids);
    return next;
  }

  /** Writes the prompt's full blocks that have no file yet. What can't be written is computed again when it is needed. */
  async #persist(llama: Llama, promptIds: readonly number[], hashes: readonly string[]): Promise<void> {
    const { disk, log } = this.#options;
    const live = this.#live;
    if (!disk || !live) return;
    const missing = disk.missing(hashes);
    if (missing.length > 0) {
      try {
        await llama.call('save', { path: disk.statePath });
        disk.store(promptIds, hashes, missing);
      } catch (error) {
        if (error instanceof WorkerLostError) throw error;
        disk.folder.counters.writeFailures += missing.length;
        log(`The prompt's KV blocks were not kept: ${String(error)}`);
      }
    }
    live.sealedBlocks = hashes.length;
  }

  #count({ promptIds }: GenerationRequest, reused: { tokens: number; source: TokenSource }): void {
    this.counters.promptTokens[reused.source] += reused.tokens;
    this.counters.promptTokens.computed += promptIds.length - reused.tokens;
  }
}

/** Candidates to ask llama.cpp for: none where the greedy token is all there is to know. */
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
