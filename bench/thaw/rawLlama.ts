import { copyFileSync, rmSync, statSync, readdirSync, readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlockFolder, newBlockCounters } from '../../src/embedded/kv/blockFolder.ts';
import { DiskCache } from '../../src/embedded/kv/diskCache.ts';
import { kvBytesPerToken } from '../../src/embedded/kv/kvLayout.ts';
import { KvThreads } from '../../src/embedded/kv/kvThreads.ts';
import { PassingState } from '../../src/embedded/kv/passingState.ts';
import { bufferSource, parseStateFile } from '../../src/embedded/kv/stateFile.ts';
import { LlamaProcess } from '../../src/embedded/worker/llamaProcess.ts';
import { mustHold, timed } from '../benchmark.ts';
import { dropCaches } from './pageCache.ts';

export interface RawTimes {
  readonly warmLoadMs: number;
  /** Null where caches cannot be dropped. */
  readonly coldLoadMs: number | null;
  readonly saveMs: number;
}

/** node-llama-cpp alone: one state file, loaded and saved, with nothing checked and nothing computed. */
export class RawLlama {
  readonly #llama: LlamaProcess;
  readonly #folder: string;
  readonly #cache: DiskCache;
  readonly #threads: KvThreads;

  static async start(modelPath: string, contextTokens: number, kvDir: string, folder: string): Promise<RawLlama> {
    mkdirSync(folder, { recursive: true });
    const samplePath = join(folder, 'sample.state');
    const config = { modelPath, contextTokens, threads: 1, gpu: 'off', gpuLayers: null, kvType: 'f16' } as const;
    const llama = await LlamaProcess.start({ ...config, batchTokens: 512, samplePath }, () => undefined);
    return new RawLlama(llama, kvDir, folder, samplePath);
  }

  private constructor(llama: LlamaProcess, kvDir: string, folder: string, samplePath: string) {
    const { shape } = parseStateFile(bufferSource(readFileSync(samplePath)), null);
    const counters = newBlockCounters();
    const namespace = readdirSync(kvDir).find((name) => /^[0-9a-f]{32}$/.test(name)) ?? '';
    const payloadBytes = shape.rows && kvBytesPerToken(shape.rows) * 32;
    const log = (message: string): void => console.error(message);
    const path = join(kvDir, namespace);
    this.#llama = llama;
    this.#folder = folder;
    this.#threads = new KvThreads();
    this.#cache = new DiskCache({
      shape,
      blockTokens: 32,
      rows: new BlockFolder({ path, kind: 'rows', seal: { key: null }, payloadBytes, counters, log }),
      positions: null,
      counters,
      runFolder: folder,
      passing: new PassingState(folder),
      threads: this.#threads,
    });
  }

  /** @param ids a prompt whose blocks are stored. */
  async measure(ids: readonly number[], rounds: number): Promise<RawTimes> {
    const blocks = Math.floor((ids.length - 1) / 32);
    const assembled = await this.#cache.assemble(ids, this.#cache.hashes(ids, null), blocks);
    mustHold(assembled?.blocks === blocks, `${assembled?.blocks} of ${blocks} blocks are stored`);
    const stateFile = join(this.#folder, `raw-${ids.length}.state`);
    copyFileSync(assembled?.state.path ?? '', stateFile);
    this.#cache.release();
    const load = async (): Promise<number> => {
      const { ms, result } = await timed(() => this.#llama.call('load', { path: stateFile }));
      mustHold(result === blocks * 32, `llama.cpp loaded ${result} of ${blocks * 32} tokens`);
      return ms;
    };
    await load();
    const warm: number[] = [];
    const cold: number[] = [];
    const saves: number[] = [];
    for (let round = 0; round < rounds; round++) {
      warm.push(await load());
      if (dropCaches([stateFile])) cold.push(await load());
      const path = join(this.#folder, 'saved.state');
      saves.push((await timed(() => this.#llama.call('save', { path }))).ms);
      mustHold(statSync(path).size === statSync(stateFile).size, 'the saved state is as large as the loaded one');
      rmSync(path);
    }
    const coldLoadMs = cold.length < rounds ? null : Math.min(...cold);
    return { warmLoadMs: Math.min(...warm), coldLoadMs, saveMs: Math.min(...saves) };
  }

  async close(): Promise<void> {
    this.#llama.kill();
    await this.#threads.close();
  }
}
