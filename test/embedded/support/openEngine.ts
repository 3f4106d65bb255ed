import { readFileSync } from 'node:fs';
import { EmbeddedEngine, type GenerationRequest } from '../../../src/embedded/engine.ts';
import { BlockFolder, newBlockCounters } from '../../../src/embedded/kv/files/blockFolder.ts';
import { DiskCache } from '../../../src/embedded/kv/diskCache.ts';
import { kvBytesPerToken } from '../../../src/embedded/kv/state/kvLayout.ts';
import type { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { PassingState } from '../../../src/embedded/kv/state/passingState.ts';
import { PrefixCache } from '../../../src/embedded/kv/prefixCache.ts';
import { bufferSource, parseStateFile } from '../../../src/embedded/kv/state/stateFile.ts';
import type { Llama } from '../../../src/embedded/worker/llamaProcess.ts';
import { LlamaSupervisor } from '../../../src/embedded/worker/llamaSupervisor.ts';
import { promptIds } from './engineProcess.ts';

export interface EngineParts {
  readonly start: (onEnd: (reason: string) => void) => Promise<Llama>;
  /** What the engine gets instead of each process but the first. */
  readonly wrap: (llama: Llama) => Llama;
  /** For block files and the passing state. */
  readonly folder: string;
  /** Where a process leaves the sample of its state. */
  readonly samplePath: string;
  readonly threads: KvThreads;
  readonly batchTokens: number;
  /** As in `DiskTierOptions`. */
  readonly partStateBytes?: number;
  /** Files in memory that `start` gives its processes, in which a state passes. Default: none. */
  readonly memoryFiles?: readonly number[];
  /** What KV is encrypted with, 32 bytes. Default: in clear. */
  readonly kvKey?: Uint8Array | null;
}

/** An engine in this process, over llama.cpp processes of its caller. */
export async function openEngine({ start, wrap, folder, samplePath, threads, batchTokens, ...rest }: EngineParts) {
  const { memoryFiles = [], kvKey = null, ...more } = rest;
  let blocks: BlockFolder | null = null;
  const supervisor = new LlamaSupervisor(
    async (onEnd) => {
      const llama = await start(onEnd);
      return blocks ? wrap(llama) : llama;
    },
    () => undefined,
  );
  const first = await supervisor.get();
  const { shape } = parseStateFile(bufferSource(readFileSync(samplePath)), null);
  const counters = newBlockCounters();
  const payloadBytes = shape.rows && kvBytesPerToken(shape.rows) * 32;
  const seal = { key: kvKey };
  blocks = new BlockFolder({ path: folder, seal, counters, log: () => undefined, kind: 'rows', payloadBytes });
  const disk = new DiskCache({
    counters,
    shape,
    blockTokens: 32,
    rows: blocks,
    positions: null,
    runFolder: folder,
    passing: [0, 1, 2].map((place) => new PassingState(folder, memoryFiles[place] ?? null, place)),
    threads,
    ...more,
  });
  const cache = new PrefixCache({ disk, blockTokens: 32, loadTimeoutMs: 20_000, log: () => undefined });
  const engine = new EmbeddedEngine({ supervisor, cache, blockTokens: 32, batchTokens, log: () => undefined });
  return { engine, supervisor, disk, first };
}

export const shortRequest: GenerationRequest = {
  promptIds: promptIds(300, 2),
  salt: null,
  maxTokens: 6,
  sampling: { temperature: 0, topP: 1, seed: 0 },
  topLogprobs: null,
  endIds: new Set(),
};

/** What an engine says to the short request. */
export async function generate(engine: EmbeddedEngine, more: Partial<GenerationRequest> = {}) {
  const ids: number[] = [];
  const logprobs: (number | null)[] = [];
  let cached = -1;
  for await (const event of engine.generate({ ...shortRequest, ...more }, new AbortController().signal)) {
    if (event.type === 'prompt') cached = event.cachedTokens;
    else {
      ids.push(event.id);
      logprobs.push(event.logprob);
    }
  }
  return { ids, logprobs, cached };
}
