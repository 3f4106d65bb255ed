import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BlockFolder, newBlockCounters } from '../../src/embedded/kv/files/blockFolder.ts';
import { DiskCache } from '../../src/embedded/kv/diskCache.ts';
import { kvBytesPerToken, type StateShape } from '../../src/embedded/kv/state/kvLayout.ts';
import { KvThreads } from '../../src/embedded/kv/threads/kvThreads.ts';
import { PassingState } from '../../src/embedded/kv/state/passingState.ts';
import { bufferSource, parseStateFile } from '../../src/embedded/kv/state/stateFile.ts';
import { LlamaProcess } from '../../src/embedded/worker/llamaProcess.ts';
import { mustHold, timed } from '../benchmark.ts';
import { reusable, type ServedModel } from './measuredEngine.ts';
import { dropCaches, syncFiles } from './pageCache.ts';
import { computedMs } from './peakMemory.ts';

/** node-llama-cpp alone: one state file, loaded and saved, with nothing checked and nothing computed. */
export class RawLlama {
  readonly folder: string;
  readonly #llama: LlamaProcess;
  readonly #shape: StateShape;
  readonly #blockTokens: number;

  static async start({ path: modelPath, contextTokens, blockTokens }: ServedModel, folder: string): Promise<RawLlama> {
    mkdirSync(folder, { recursive: true });
    const samplePath = join(folder, 'sample.state');
    const config = { modelPath, contextTokens, threads: 1, gpu: 'off', gpuLayers: null, kvType: 'f16' } as const;
    const llama = await LlamaProcess.start(
      { ...config, batchTokens: 512, samplePath, triesParts: false },
      () => undefined,
    );
    return new RawLlama(llama, folder, parseStateFile(bufferSource(readFileSync(samplePath)), null).shape, blockTokens);
  }

  private constructor(llama: LlamaProcess, folder: string, shape: StateShape, blockTokens: number) {
    this.folder = folder;
    this.#llama = llama;
    this.#shape = shape;
    this.#blockTokens = blockTokens;
  }

  /** Of the rows of one block. */
  get blockBytes(): number {
    return this.#shape.rows === null ? 0 : kvBytesPerToken(this.#shape.rows) * this.#blockTokens;
  }

  /** Makes the state file of a prompt whose blocks are in clear in `blockDir`. */
  async prepare(ids: readonly number[], blockDir: string): Promise<void> {
    const counters = newBlockCounters();
    const log = (message: string): void => console.error(message);
    const seal = { key: null };
    const threads = new KvThreads();
    const cache = new DiskCache({
      shape: this.#shape,
      blockTokens: this.#blockTokens,
      rows: new BlockFolder({ path: blockDir, kind: 'rows', seal, payloadBytes: this.blockBytes, counters, log }),
      positions: null,
      counters,
      runFolder: this.folder,
      passing: [new PassingState(this.folder)],
      threads,
    });
    const blocks = reusable(ids, this.#blockTokens) / this.#blockTokens;
    const assembled = await cache.assemble({ ids, hashes: cache.hashes(ids, null), tail: null }, blocks);
    mustHold(assembled?.blocks === blocks, `${assembled?.blocks} of ${blocks} blocks are stored`);
    copyFileSync(assembled?.state.path ?? '', this.fileOf(ids));
    await cache.release();
    await threads.close();
    await this.load(ids, false);
  }

  /** Null where the system cannot forget the file. */
  async load(
    ids: readonly number[],
    isCold: boolean,
  ): Promise<{ readonly ms: number; readonly processorMs: number } | null> {
    const path = this.fileOf(ids);
    if (isCold && !dropCaches([path])) return null;
    const before = computedMs([this.#llama.pid]);
    const { ms, result } = await timed(() => this.#llama.call('load', { path }));
    const expected = reusable(ids, this.#blockTokens);
    mustHold(result === expected, `llama.cpp loaded ${result} of ${expected} tokens`);
    return { ms, processorMs: computedMs([this.#llama.pid]) - before };
  }

  /** Milliseconds to save what was loaded last, and then until it is on the disk. */
  async save(
    ids: readonly number[],
  ): Promise<{ readonly ms: number; readonly syncMs: number; readonly processorMs: number }> {
    const path = join(this.folder, 'saved.state');
    // A freeze, too, begins when the memory of as many bytes was just freed. A virtual machine may soon have to ask its host for it again.
    rmSync(path, { force: true });
    const before = computedMs([this.#llama.pid]);
    const { ms } = await timed(() => this.#llama.call('save', { path }));
    const processorMs = computedMs([this.#llama.pid]) - before;
    mustHold(statSync(path).size === statSync(this.fileOf(ids)).size, 'the saved state is as large as the loaded one');
    const sync = await timed(async () => syncFiles([path]));
    return { ms, syncMs: sync.ms, processorMs };
  }

  close(): void {
    this.#llama.kill();
  }

  /** The state file of a prompt. */
  fileOf(ids: readonly number[]): string {
    return join(this.folder, `raw-${ids.length}.state`);
  }
}
