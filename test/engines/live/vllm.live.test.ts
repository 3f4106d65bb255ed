import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { randomSalt } from '../../../src/base/hash.ts';
import { blockHashChain, defaultHashSeed, type BlockHashProfile } from '../../../src/base/kvBlockHash.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import { complete, metricByLabel, tokenize } from './rawVllm.ts';
import { sharedMemoryOf } from './sharedMemory.ts';
import { until } from '../../support/until.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const blockTokens = 32;
const profile: BlockHashProfile = { algorithm: 'sha256_cbor', seed: defaultHashSeed, saltEncoding: 'tagged' };
const chain = (ids: readonly number[], salt: string | null): string[] =>
  blockHashChain(profile, ids, blockTokens, salt);
/** What a repeat reuses at most: the last token is always computed. */
const floor = (tokens: number): number => Math.floor((tokens - 1) / blockTokens) * blockTokens;
const cachedBySource = (url: string): Promise<Readonly<Record<string, number>>> =>
  metricByLabel(url, 'vllm:prompt_tokens_cached_by_source_total', 'source');

const interrupted = new AbortController();
let model: VllmModel;
let folder: string;

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: interrupted.signal, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
});

afterAll(async () => {
  interrupted.abort();
  await rm(folder, { recursive: true, force: true });
});

describe('vLLM with its own tiered offload', () => {
  let server: ModelServer;
  let kvDir: string;
  let words: readonly number[];
  /** Every block that a request of this suite should have left on disk. */
  const expected = new Set<string>();
  const expectBlocks = (ids: readonly number[], salt: string | null): string[] => {
    const hashes = chain(ids, salt);
    for (const hash of hashes) expected.add(hash);
    return hashes;
  };
  const untilOnDisk = (hashes: readonly string[]): Promise<true> =>
    until(`${hashes.length} block files`, async () => {
      const files = await blockFiles(kvDir);
      if (hashes.every((hash) => files.has(hash))) return true;
      // An idle engine does not step, and stores are finished in a step: a request shorter than a block makes one.
      await complete(server.url, { model: model.name, promptIds: words.slice(0, 4) });
      return undefined;
    });

  beforeAll(async () => {
    kvDir = join(folder, 'kv');
    server = await startVllm({ model, connector: 'tiered', kvDir }, interrupted.signal);
    words = await tokenize(server.url, model.name, readFileSync(import.meta.filename, 'utf8'));
  });
  afterAll(() => server.stop());

  test('every file of the tier is named as our chain computes, salted and unsalted', async () => {
    const promptIds = words.slice(0, 330);
    const salt = randomSalt();
    await complete(server.url, { model: model.name, promptIds, salt });
    await complete(server.url, { model: model.name, promptIds: promptIds.slice(0, 100) });
    await untilOnDisk([...expectBlocks(promptIds, salt), ...expectBlocks(promptIds.slice(0, 100), null)]);
    expect(new Set((await blockFiles(kvDir)).keys())).toEqual(expected);
  });

  test('after a turn only the blocks of its prompt are on disk; after a seal request every full block is', async () => {
    const salt = randomSalt();
    const turn = await complete(server.url, {
      model: model.name,
      promptIds: words.slice(0, 330),
      salt,
      maxTokens: 100,
    });
    const allIds = [...turn.promptIds, ...turn.answerIds];
    expect(allIds).toHaveLength(430);
    await untilOnDisk(expectBlocks(turn.promptIds, salt));
    expect(new Set((await blockFiles(kvDir)).keys())).toEqual(expected);

    const seal = await complete(server.url, { model: model.name, promptIds: allIds, salt });
    expect(seal.cachedTokens).toBe(floor(430));
    await untilOnDisk(expectBlocks(allIds, salt));
    expect(new Set((await blockFiles(kvDir)).keys())).toEqual(expected);
  });

  test('after kill -9 and a restart a prompt is reused from disk to the floor, bit for bit, and not under a second salt', async () => {
    const salt = randomSalt();
    const request = { model: model.name, promptIds: words.slice(0, 430), salt };
    const cold = await complete(server.url, request);
    expect(cold.cachedTokens).toBe(0);
    const warm = await complete(server.url, request);
    expect(warm.cachedTokens).toBe(floor(430));
    await untilOnDisk(expectBlocks(request.promptIds, salt));

    const memory = sharedMemoryOf(server.pid);
    expect(memory).not.toEqual([]);
    await server.kill();
    expect(await server.ended).toBe('SIGKILL');
    expect(memory.filter((file) => existsSync(file))).toEqual([]);
    server = await startVllm({ model, connector: 'tiered', kvDir }, interrupted.signal);

    const thawed = await complete(server.url, request);
    expect(thawed.cachedTokens).toBe(floor(430));
    expect(await cachedBySource(server.url)).toMatchObject({ disk: floor(430), device: 0, host: 0 });
    expect(thawed.topLogprobs).toEqual(warm.topLogprobs);
    expect((await complete(server.url, { ...request, salt: randomSalt() })).cachedTokens).toBe(0);
  });

  test('a server that is asked to stop leaves no shared memory behind', async () => {
    const memory = sharedMemoryOf(server.pid);
    expect(memory).not.toEqual([]);
    await server.stop();
    expect(memory.filter((file) => existsSync(file))).toEqual([]);
  });
});
