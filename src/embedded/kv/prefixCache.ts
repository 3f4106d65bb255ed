import { commonPrefixLength } from '../../base/tokenIds.ts';
import type { TokenSource } from '../engineCounters.ts';
import { OperationFailedError, WorkerLostError, type Llama } from '../worker/llamaProcess.ts';
import type { NextToken, Within } from '../worker/workerProtocol.ts';
import type { DiskCache } from './diskCache.ts';
import type { Named } from './tier/diskTier.ts';
import type { TakenParts } from './tier/loadInParts.ts';
import type { SaveState } from './tier/storeState.ts';

/** The facts that decide which KV may be reused. */
export interface Prompt {
  readonly ids: readonly number[];
  /** Prompts under different salts share no KV. */
  readonly salt: string | null;
  /** Names of its full blocks; none without a disk cache. */
  readonly hashes: readonly string[];
  /** Its tail, where the request is about a whole context; null for a request that reuses full blocks only. */
  readonly tail: PromptTail | null;
}

/** The tokens of a prompt between the last block that can be reused and the last token. */
export interface PromptTail {
  readonly hash: string;
  /** Whether its file is written where there is none; else it is only read. */
  readonly isStored: boolean;
}

export interface PrefixCacheOptions {
  /** Null when llama.cpp's state files cannot be read: then only what is in memory is reused. */
  readonly disk: DiskCache | null;
  readonly blockTokens: number;
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
  /** Name of the tail behind them that is the same on disk; null where there is none. */
  tail: string | null;
}

/**
 * A prefix cache of two tiers: the live sequence and the files.
 *
 * A model whose state can be cut reuses as vLLM does: full blocks only, never the prompt's last token. A request over a whole context reuses its
 * tail, too. A model whose state
 * cannot be cut (sliding window, recurrent, hybrid) continues the live sequence where all of it is the prompt's beginning,
 * or the longest stored state that is.
 */
export class PrefixCache {
  readonly disk: DiskCache | null;
  readonly #options: PrefixCacheOptions;
  #live: Live | null = null;

  constructor(options: PrefixCacheOptions) {
    this.disk = options.disk;
    this.#options = options;
  }

  /** Whether the prompt can be continued behind any of its blocks. */
  canCut(llama: Llama): boolean {
    return llama.info.canTruncate && (this.disk?.cutsAnywhere ?? true);
  }

  /** Call it when the sequence is lost, or its content is unknown. */
  forget(): void {
    this.#live = null;
  }

  /** Brings the sequence to the longest known prefix of the prompt. */
  async reuse(llama: Llama, prompt: Prompt): Promise<{ tokens: number; source: TokenSource }> {
    const { blockTokens } = this.#options;
    const maxBlocks = Math.floor((prompt.ids.length - 1) / blockTokens);
    const liveTokens = this.canCut(llama) ? this.#liveTokens(llama, prompt, maxBlocks) : this.#wholeLive(llama, prompt);
    if (this.disk && this.#isWorthLoading(this.disk, prompt, liveTokens, maxBlocks)) {
      const tokens = await this.#load(llama, this.disk, prompt, liveTokens, maxBlocks);
      if (tokens > 0) return { tokens, source: 'disk' };
    }
    const sealedBlocks = Math.min(this.#live?.sealedBlocks ?? 0, Math.floor(liveTokens / blockTokens));
    const tail = prompt.tail && liveTokens > maxBlocks * blockTokens ? prompt.tail.hash : null;
    await llama.call('truncate', { length: liveTokens });
    this.#live = { llama, salt: prompt.salt, ids: prompt.ids.slice(0, liveTokens), sealedBlocks, tail };
    return { tokens: liveTokens, source: 'device' };
  }

  /** Appends tokens to the sequence. */
  async evaluate(
    llama: Llama,
    ids: readonly number[],
    candidates: number | null,
    within?: Within,
  ): Promise<NextToken | null> {
    const next = await llama.call('evaluate', { ids: Uint32Array.from(ids), candidates, ...(within && { within }) });
    this.#live?.ids.push(...ids);
    return next;
  }

  /**
   * Writes the missing files of the prompt's first blocks, and of its tail where that is to be stored. The sequence holds these blocks, and ends with them when its state cannot be
   * cut. A block that cannot be written is computed again when it is needed.
   */
  async store(llama: Llama, prompt: Prompt, blocks: number): Promise<void> {
    const { disk } = this;
    const live = this.#live;
    if (!disk || !live || blocks === 0) return;
    const { ids } = prompt;
    const hashes = prompt.hashes.slice(0, blocks);
    const tail = prompt.tail?.isStored === true ? prompt.tail.hash : null;
    const isTailMissing = tail !== null && (live.tail !== tail || !disk.hasTail(ids, tail));
    if (disk.isMissingAny(hashes) || isTailMissing) {
      try {
        const startedMs = performance.now();
        const named = { ids, hashes, tail: isTailMissing ? tail : null };
        const isTailWritten = await disk.store(named, live.ids.length, saverOf(llama), llama.info.takesParts);
        if (isTailWritten) live.tail = tail;
        disk.counters.storeMs += performance.now() - startedMs;
      } catch (error) {
        if (error instanceof WorkerLostError) throw error;
        disk.counters.writeFailures++;
        this.#options.log(`The prompt's KV was not stored: ${String(error)}`);
      }
    }
    live.sealedBlocks = blocks;
  }

  /** The same for every full block of the live sequence: those of the prompt, and of the answer as far as it was computed. */
  async storeLive(llama: Llama, prompt: Prompt): Promise<void> {
    const { disk } = this;
    const ids = this.#live?.ids;
    if (!disk || !ids) return;
    const blocks = Math.floor(ids.length / this.#options.blockTokens);
    const hashes = blocks > prompt.hashes.length ? disk.hashes(ids, prompt.salt) : prompt.hashes;
    await this.store(llama, { ...prompt, ids, hashes, tail: null }, blocks);
  }

  /** Tokens of the prompt that the live sequence holds: full blocks, and the tail behind all of them. */
  #liveTokens(llama: Llama, prompt: Prompt, maxBlocks: number): number {
    const blocks = this.#liveBlocks(llama, prompt, maxBlocks);
    const hasTail = blocks === maxBlocks && prompt.tail !== null && this.#live?.tail === prompt.tail.hash;
    return hasTail ? prompt.ids.length - 1 : blocks * this.#options.blockTokens;
  }

  /** Full blocks of the prompt that the live sequence holds. */
  #liveBlocks(llama: Llama, { ids, salt, hashes }: Prompt, maxBlocks: number): number {
    const live = this.#live;
    if (!live || live.llama !== llama || live.salt !== salt) return 0;
    const common = Math.min(Math.floor(commonPrefixLength(live.ids, ids) / this.#options.blockTokens), maxBlocks);
    // An answer's rows, computed token by token, may differ in their last bits from those of the same tokens in an earlier
    // prompt. A restart brings back the rows on disk, so use those.
    for (let index = live.sealedBlocks; index < common; index++) {
      if (this.disk?.endsWith(hashes[index] ?? '')) return index;
    }
    return common;
  }

  /** Tokens of the live sequence when the prompt begins with all of them and has more; else 0. */
  #wholeLive(llama: Llama, { ids, salt }: Prompt): number {
    const live = this.#live;
    if (!live || live.llama !== llama || live.salt !== salt || live.ids.length >= ids.length) return 0;
    return commonPrefixLength(live.ids, ids) === live.ids.length ? live.ids.length : 0;
  }

  #isWorthLoading(disk: DiskCache, { ids, hashes, tail }: Prompt, liveTokens: number, maxBlocks: number): boolean {
    const liveBlocks = Math.floor(liveTokens / disk.blockTokens);
    if (liveBlocks >= maxBlocks) {
      const mayGrow = tail !== null && liveTokens < ids.length - 1;
      // What the file has, and a later thaw gives back, is the measure.
      return mayGrow && disk.hasTail(ids, tail.hash);
    }
    return disk.cutsAnywhere ? disk.endsWith(hashes[liveBlocks] ?? '') : disk.reach(hashes, maxBlocks) > liveBlocks;
  }

  /**
   * The number of tokens that were read from disk; 0 when nothing has changed. They are more than the live ones, unless damage, or a full
   * disk, ended a load in parts: by then, the first part has replaced the sequence.
   */
  async #load(
    llama: Llama,
    disk: DiskCache,
    { ids, salt, hashes, tail }: Prompt,
    liveTokens: number,
    maxBlocks: number,
  ): Promise<number> {
    const startedMs = performance.now();
    const tailHash = tail?.hash ?? null;
    const blocksThere = llama.info.takesParts ? disk.reach(hashes, maxBlocks) : 0;
    if (disk.isWorthParts(blocksThere) && blocksThere * disk.blockTokens >= liveTokens) {
      const named = { ids, hashes, tail: tailHash };
      const taken = await this.#loadInParts(llama, disk, named, { maxBlocks, blocksThere });
      if (!taken) return 0;
      if (taken.failure !== null) this.#options.log(`Block files could not be used: ${String(taken.failure)}`);
      const { blocks, tokens } = taken;
      const hasTail = tokens > blocks * disk.blockTokens;
      this.#live = { llama, salt, ids: ids.slice(0, tokens), sealedBlocks: blocks, tail: hasTail ? tailHash : null };
      disk.counters.loadMs += performance.now() - startedMs;
      return tokens;
    }
    const assembled = await disk.assemble({ ids, hashes, tail: tailHash }, maxBlocks).catch((error: unknown) => {
      this.#options.log(`Block files could not be used: ${String(error)}`);
      return null;
    });
    if (!assembled || assembled.tokens <= liveTokens) {
      disk.releaseSoon();
      return 0;
    }
    const { blocks, tokens } = assembled;
    const loadedTail = tokens > blocks * disk.blockTokens ? tailHash : null;
    const loadedIds = ids.slice(0, tokens);
    this.#live = null;
    try {
      const loaded = await llama.call('load', { path: assembled.state.path }, this.#options.loadTimeoutMs);
      if (loaded !== loadedIds.length)
        throw new OperationFailedError(`llama.cpp loaded ${loaded} of ${loadedIds.length} tokens.`);
    } catch (error) {
      disk.discard([...hashes.slice(0, blocks), ...(loadedTail === null ? [] : [loadedTail])]);
      disk.releaseSoon();
      throw refused(llama, error);
    }
    disk.counters.loadMs += performance.now() - startedMs;
    disk.releaseSoon();
    this.#live = { llama, salt, ids: loadedIds, sealedBlocks: blocks, tail: loadedTail };
    return tokens;
  }

  /** @returns null when nothing was taken, and nothing has changed. */
  async #loadInParts(
    llama: Llama,
    disk: DiskCache,
    named: Named,
    { maxBlocks, blocksThere }: { readonly maxBlocks: number; readonly blocksThere: number },
  ): Promise<TakenParts | null> {
    const { loadTimeoutMs, log } = this.#options;
    let hasBegun = false;
    const checked = async (pieces: readonly string[], step: () => Promise<unknown>): Promise<void> => {
      hasBegun = true;
      this.#live = null;
      await step().catch((error: unknown) => {
        disk.discard(pieces);
        throw error;
      });
    };
    const taker = {
      append: (path: string, pieces: readonly string[], isFirst: boolean) =>
        checked(pieces, () => llama.call('append', { path, isFirst }, loadTimeoutMs)),
      adopt: (path: string, tokens: number) =>
        checked(named.hashes, async () => {
          const adopted = await llama.call('adopt', { path }, loadTimeoutMs);
          if (adopted !== tokens) throw new OperationFailedError(`llama.cpp loaded ${adopted} of ${tokens} tokens.`);
        }),
    };
    try {
      return await disk.loadInParts(named, maxBlocks, taker, blocksThere);
    } catch (error) {
      if (hasBegun) throw refused(llama, error);
      log(`Block files could not be used: ${String(error)}`);
      return null;
    }
  }
}

/** A refused load leaves the sequence unusable. */
function refused(llama: Llama, error: unknown): Error {
  llama.kill();
  if (error instanceof WorkerLostError) return error;
  return new WorkerLostError('load', error instanceof Error ? error.message : String(error));
}

const saverOf =
  (llama: Llama): SaveState =>
  (path, range) =>
    range ? llama.call('savePart', { path, ...range }) : llama.call('save', { path });
