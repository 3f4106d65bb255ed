import { readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promptHashes } from '../../src/base/kvBlockHash.ts';
import { hashProfile } from '../../src/embedded/kv/files/kvNamespace.ts';
import { blockNames, cachedBy, EngineProcess } from '../../test/embedded/support/engineProcess.ts';
import { mustHold, timed } from '../benchmark.ts';
import { dropCaches, setAside, syncFiles } from './pageCache.ts';
import { computedMs, peakMemory } from './peakMemory.ts';

/** A model's file, as the engines of a run serve it. */
export interface ServedModel {
  readonly path: string;
  readonly contextTokens: number;
  readonly blockTokens: number;
}

/** The engine evaluates a prompt in batches of so many. */
export const batchTokens = 512;

/** What the engine's own clock says of one load: from the first read until llama.cpp had the state. */
export interface LoadTimes {
  readonly ms: number;
  /** Of it: reading, checking and placing blocks. */
  readonly placeMs: number;
  /** The whole request, with the tokens that must be computed. */
  readonly requestMs: number;
  /** Processor time of the request, over all threads of both processes. */
  readonly processorMs: number;
  readonly peakBytes: number | null;
}

/** Of a freeze; each begins where the one before ends. */
export interface FreezeTimes {
  readonly ms: number;
  readonly sumMs: number;
  readonly syncMs: number;
  /** Processor time of the request, over all threads of both processes. */
  readonly processorMs: number;
  readonly peakBytes: number | null;
}

/** Of the turn that {@link MeasuredEngine.storeTurn} adds. */
export const turnTokens = 64;

const summedMetric = 'cwm:kv_blocks_summed_total';

/** An embedded engine that is asked for one token at a time, and whose counters are read around that. */
export class MeasuredEngine {
  readonly #engine: EngineProcess;
  readonly #blockTokens: number;
  readonly #signal: AbortSignal;
  #others = 0;

  /** @param key 64 hex digits; null for KV in clear. */
  static async start(
    { path, contextTokens, blockTokens }: ServedModel,
    kvDir: string,
    key: string | null,
    signal: AbortSignal,
  ): Promise<MeasuredEngine> {
    const flags = ['--model', path, '--context', `${contextTokens}`, '--gpu', 'off'];
    const engine = await EngineProcess.startWith(key === null ? {} : { CWM_KV_KEY: key }, kvDir, ...flags);
    return new MeasuredEngine(engine, blockTokens, signal);
  }

  private constructor(engine: EngineProcess, blockTokens: number, signal: AbortSignal) {
    this.#engine = engine;
    this.#blockTokens = blockTokens;
    this.#signal = signal;
  }

  blockDir(): Promise<string> {
    return this.#engine.blockDir();
  }

  filesOf(ids: readonly number[]): Promise<string[]> {
    return Promise.all(blockNames(ids, null, this.#blockTokens).map((hash) => this.#engine.blockFile(hash)));
  }

  /** Milliseconds to the first token. `cached`: tokens that must be reused; null for any number. */
  async ask(ids: readonly number[], cached: number | null, more: object = {}): Promise<number> {
    this.#signal.throwIfAborted();
    const { ms, result } = await timed(() => this.#engine.complete(ids, { max_tokens: 1, ...more }));
    mustHold(cached === null || cachedBy(result) === cached, `${cachedBy(result)} tokens were reused, not ${cached}`);
    return ms;
  }

  /**
   * Milliseconds to compute `to − from` tokens of a prompt whose KV before them is stored, without those for storing. In steps of one batch,
   * since a request that lasts for minutes may be given up.
   */
  async prefill(ids: readonly number[], from: number, to: number): Promise<number> {
    let total = 0;
    for (let at = from; at < to; at += batchTokens) {
      const end = Math.min(at + batchTokens, to);
      if (at > 0) await this.ask(ids.slice(0, at + 1), at);
      // Tokens that nobody has asked for yet: those of the prompt are stored.
      const other = ++this.#others;
      const computed = [...ids.slice(0, at), ...ids.slice(at, end).map((id) => id + other)];
      const before = await this.#total('store');
      total += (await this.ask(computed, at)) - ((await this.#total('store')) - before);
    }
    return total;
  }

  /** The same request while its KV is in memory: what must be computed behind the last block, and everything around it. */
  async tail(ids: readonly number[], isWhole = false): Promise<{ readonly ms: number; readonly processorMs: number }> {
    const before = this.#processorMs();
    const ms = await this.#askAgain(ids, isWhole);
    return { ms, processorMs: this.#processorMs() - before };
  }

  /**
   * Milliseconds to store the tail of a prompt whose blocks are stored, as a freeze does where a turn has stored the blocks.
   */
  async storeTail(ids: readonly number[]): Promise<number> {
    await this.ask(ids, null, { cwm_tail: 'store' });
    this.#setAside([await this.#tailFile(ids)]);
    const before = await this.#total('store');
    await this.ask(ids, null, { cwm_tail: 'store' });
    return (await this.#total('store')) - before;
  }

  /**
   * Milliseconds to store one more turn of a prompt whose blocks are stored, with its tail, and the bytes of the new files; beside them, what
   * the tail takes.
   */
  async storeTurn(
    ids: readonly number[],
  ): Promise<{ readonly ms: number; readonly bytes: number; readonly tailBytes: number }> {
    const longer = [...ids, ...Array.from({ length: turnTokens }, (_, at) => 400 + at)];
    const [known, all] = [await this.filesOf(ids), await this.filesOf(longer)];
    const tail = await this.#tailFile(longer);
    const files = [...all.slice(known.length), tail];
    this.#setAside(files);
    const before = await this.#total('store');
    await this.ask(longer, null, { cwm_tail: 'store' });
    const ms = (await this.#total('store')) - before;
    const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0);
    return { ms, bytes, tailBytes: statSync(tail).size };
  }

  /**
   * A load from files that the system has in memory, or, with `isCold`, has not; null where it cannot forget them.
   *
   * @param isWhole with the tail's file.
   */
  async load(ids: readonly number[], isCold: boolean, isWhole = false): Promise<LoadTimes | null> {
    await this.ask([301, 302, 303], 0, { cache_salt: `other ${this.#others++}` });
    if (isCold && !dropCaches(await this.filesOf(ids))) return null;
    const [loadBefore, placeBefore, processorBefore] = [
      await this.#total('load'),
      await this.#total('place'),
      this.#processorMs(),
    ];
    const { bytes, result } = await peakMemory(this.#pids, () => this.#askAgain(ids, isWhole));
    // Before the engine is asked for its counters.
    const processorMs = this.#processorMs() - processorBefore;
    return {
      ms: (await this.#total('load')) - loadBefore,
      placeMs: (await this.#total('place')) - placeBefore,
      requestMs: result,
      processorMs,
      peakBytes: bytes,
    };
  }

  /**
   * Milliseconds to store a context that is in memory and of which no file is there, then for the SHA-256 of the blocks, and then until the
   * files are on the disk. Nothing of it waits in the system's memory then.
   */
  async freeze(ids: readonly number[]): Promise<FreezeTimes> {
    const files = await this.filesOf(ids);
    this.#setAside(files);
    const before = await this.#total('store');
    const [summed, sumBefore] = [await this.#engine.metric(summedMetric), await this.#total('sum')];
    const processorBefore = this.#processorMs();
    const { bytes } = await peakMemory(this.#pids, () => this.ask(ids, this.#reusable(ids)));
    const processorMs = this.#processorMs() - processorBefore;
    const ms = (await this.#total('store')) - before;
    while ((await this.#engine.metric(summedMetric)) < summed + files.length)
      await setTimeout(5, null, { signal: this.#signal });
    const sumMs = (await this.#total('sum')) - sumBefore;
    const sync = await timed(async () => syncFiles(files));
    dropCaches(files);
    return { ms, sumMs, syncMs: sync.ms, processorMs, peakBytes: bytes };
  }

  /** Milliseconds to read the files of a prompt, and nothing else; null where the system cannot forget them. */
  async plainColdRead(ids: readonly number[]): Promise<number | null> {
    const files = await this.filesOf(ids);
    if (!dropCaches(files)) return null;
    return (await timed(async () => files.forEach((path) => readFileSync(path)))).ms;
  }

  close(): Promise<void> {
    return this.#engine.kill();
  }

  #setAside(files: readonly string[]): void {
    setAside(files, `${this.#engine.kvDir}-before`);
  }

  #askAgain(ids: readonly number[], isWhole: boolean): Promise<number> {
    return isWhole ? this.ask(ids, ids.length - 1, { cwm_tail: 'load' }) : this.ask(ids, this.#reusable(ids));
  }

  #tailFile(ids: readonly number[]): Promise<string> {
    return this.#engine.blockFile(promptHashes(hashProfile, ids, this.#blockTokens, null).tail ?? '');
  }

  #reusable(ids: readonly number[]): number {
    return reusable(ids, this.#blockTokens);
  }

  get #pids(): readonly number[] {
    return [this.#engine.pid, this.#engine.workerPid];
  }

  #processorMs(): number {
    return computedMs(this.#pids);
  }

  #total(what: 'load' | 'place' | 'store' | 'sum'): Promise<number> {
    return this.#engine.metric(`cwm:kv_blocks_${what}_ms_total`);
  }
}

/** Tokens of a prompt that an engine can reuse. */
export const reusable = (ids: readonly number[], blockTokens: number): number =>
  Math.floor((ids.length - 1) / blockTokens) * blockTokens;
