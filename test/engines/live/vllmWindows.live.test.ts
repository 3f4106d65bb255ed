import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { blockHashChain } from '../../../src/base/kvBlockHash.ts';
import { commonPrefixLength } from '../../../src/base/tokenIds.ts';
import { saltOf } from '../../../src/core/ports/lineages.ts';
import { parseSessionId } from '../../../src/protocol/ids.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import {
  blind,
  blockTokens,
  floorOf,
  frozenContext,
  hashProfile,
  liveProduct,
  prose,
  seen,
  type LiveProduct,
} from './liveProduct.ts';
import { complete } from './rawVllm.ts';
import { until } from '../../support/until.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * Windows on a real vLLM with its own file tier, through the product: what is on disk under which name, what comes back
 * after `kill -9`, on the same server and on a second one. One server serves all tests, in their order.
 */

const interrupted = new AbortController();
const never = interrupted.signal;
const question = 'And what follows from that?';

let model: VllmModel;
let folder: string;
let kvDir: string;
let server: ModelServer;
let product: LiveProduct;
/** Every block that any prompt so far should have left on disk. */
const expected = new Set<string>();
/** The answer that followed each window before anything was killed. */
const undamaged = new Map<string, readonly number[]>();

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  kvDir = join(folder, 'kv');
  server = await startVllm({ model, connector: 'tiered', kvDir }, never);
  product = await liveProduct();
});
afterAll(async () => {
  interrupted.abort();
  await product[Symbol.asyncDispose]();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const start = (id: string, engine = seen(server.url, kvDir)) => product.cwm.createSession({ id, engine });

/** The ids of a session as the engine returned them, under the salt that they were computed with. */
async function contextOf(id: string) {
  const { tokens, lineage } = await product.cwm.getSession({ session: id });
  if (!tokens) throw new Error(`session ${id} has no context`);
  const ids = await product.store.sessions.loadTokens(parseSessionId(id), tokens.sha256);
  return { ids, tokens, salt: saltOf(await product.store.lineages.get(lineage)) };
}

/** One turn, whose prompt's blocks are expected on disk from now on. */
async function turn(
  id: string,
  text: string,
  maxTokens: number,
  sampled: { readonly temperature?: number; readonly continueFrom?: 'ids' | 'template' } = {},
) {
  const before = await contextOf(id).then(
    ({ ids }) => ids,
    () => [],
  );
  const result = await product.cwm.send({ session: id, text, maxTokens, temperature: 0, ...sampled }, never);
  const { ids, tokens, salt } = await contextOf(id);
  const promptIds = ids.slice(0, tokens.promptCount);
  for (const hash of blockHashChain(hashProfile, promptIds, blockTokens, salt)) expected.add(hash);
  return { ...result, before, promptIds };
}

async function freeze(id: string, window: string): Promise<Receipt> {
  const receipt = await product.cwm.freeze({ session: id, window, checkpoint: true }, never);
  for (const hash of (await frozenContext(product, window)).hashes) expected.add(hash);
  return receipt;
}

async function goOn(session: string, engine?: string): Promise<readonly number[]> {
  const { outputIds } = await product.cwm.send(
    { session, text: question, maxTokens: 16, ...(engine !== undefined && { engine }) },
    never,
  );
  return outputIds;
}

const filesOnDisk = async (): Promise<Set<string>> => new Set((await blockFiles(kvDir)).keys());

/** An idle engine does not step, and stores are finished in a step: a request shorter than a block makes one. */
const untilExpectedOnDisk = (): Promise<true> =>
  until(`${expected.size} block files`, async () => {
    const files = await filesOnDisk();
    if ([...expected].every((hash) => files.has(hash))) return true;
    await complete(server.url, { model: model.name, promptIds: [300, 301, 302, 303] });
    return undefined;
  });

test('after a turn only the blocks of its prompt are on disk; after freeze every full block is', async () => {
  await start('turned');
  const { promptIds, outputIds, promptTokens } = await turn('turned', prose('a long question', 180), 100);
  expect(outputIds).toHaveLength(100);
  await untilExpectedOnDisk();
  expect(await filesOnDisk()).toEqual(expected);
  expect(expected.size).toBe(Math.floor(promptTokens / blockTokens));

  const receipt = await freeze('turned', 'turned');
  const { ids, hashes, kv } = await frozenContext(product, 'turned');
  expect(ids).toEqual([...promptIds, ...outputIds]);
  expect(hashes.length).toBeGreaterThan(Math.floor(promptTokens / blockTokens));
  expect(kv.blocks.map(({ hash }) => hash)).toEqual(hashes);
  expect(await filesOnDisk()).toEqual(expected);
  expect(receipt).toMatchObject({
    verdict: 'proven',
    tier: 'disk',
    cachedTokens: floorOf(ids.length),
    content: { checksums: 'agreed', canary: 'agreed', canaryNoise: 0, blocksMissing: 0 },
  });
});

test('two sessions with the same text share nothing', async () => {
  const text = prose('asked twice', 150);
  await start('first');
  await start('second');
  const first = await turn('first', text, 8);
  const filesOfFirst = expected.size;
  const second = await turn('second', text, 8);
  expect(second.promptIds).toEqual(first.promptIds);
  expect([first.cachedTokens, second.cachedTokens]).toEqual([0, 0]);
  expect(expected.size).toBe(filesOfFirst + Math.floor(second.promptTokens / blockTokens));
  await untilExpectedOnDisk();
  expect(await filesOnDisk()).toEqual(expected);
});

test('a clone shares everything: no byte is written for it, and its thaw writes none', async () => {
  await freeze('first', 'original');
  const files = await filesOnDisk();
  const cloned = await product.cwm.clone({ window: 'original', target: 'clone' }, never);
  expect(cloned.kvBytesWritten).toBe(0);
  const thawed = await product.cwm.thaw({ window: 'clone' }, never);
  expect(thawed).toMatchObject({ verdict: 'proven', tier: 'device', kvBytesWritten: 0 });
  expect(thawed.cachedTokens).toBe(thawed.floorTokens);
  expect(await filesOnDisk()).toEqual(files);
  expect((await frozenContext(product, 'clone')).hashes).toEqual((await frozenContext(product, 'original')).hashes);
});

test("ten turns of chat: each reuses all it can, each prefix break is found where it is, and the ids are the server's", async () => {
  await start('chat');
  let breaks = 0;
  for (let round = 1; round <= 10; round++) {
    // The tokenizer splits a random answer in another way than the model wrote it, so that a prompt from the template leaves the old ids.
    const continueFrom = round % 2 === 0 ? 'template' : 'ids';
    const text = `${round}. ${prose(`round ${round}`, 24)}?`;
    const result = await turn('chat', text, 12, { temperature: 1, continueFrom });
    const shared = commonPrefixLength(result.before, result.promptIds);
    // What the engine computed for the answer's own tokens counts only while the next prompt has them unchanged.
    expect(result.cachedTokens).toBeGreaterThanOrEqual(Math.floor((shared - 1) / blockTokens) * blockTokens);
    if (shared === result.before.length) expect(result.prefixBreak).toBeNull();
    else {
      breaks++;
      expect(result.prefixBreak).toMatchObject({ atToken: shared, lostTokens: result.before.length - shared });
    }
  }
  expect(breaks).toBeGreaterThan(0);
  expect((await product.cwm.getSession({ session: 'chat' })).prefixBreaks).toBe(breaks);
  noteFigure(`vLLM, ten turns of chat: ${breaks} prefix breaks, each reported`);

  const { ids, tokens } = await contextOf('chat');
  const receipt = await freeze('chat', 'chat');
  expect(tokens.source).toBe('engine');
  expect((await frozenContext(product, 'chat')).ids).toEqual(ids);
  expect(receipt).toMatchObject({ verdict: 'proven', tier: 'disk' });
});

test('a window whose block files are out of sight is reused, and its canary agrees', async () => {
  await start('blind', blind(server.url));
  await turn('blind', prose('out of sight', 180), 40);
  const receipt = await freeze('blind', 'blind');
  expect(receipt).toMatchObject({
    verdict: 'reused',
    kvBytes: null,
    content: { checksums: 'not-run', canary: 'agreed', canaryNoise: 0 },
  });
  expect(receipt.content.why).toContain('file tier');
});

test('every file of the tier is named as our chain computes', async () => {
  for (const window of ['turned', 'original', 'chat', 'blind']) {
    undamaged.set(window, await goOn(await frozenSession(window)));
    const { ids, tokens, salt } = await contextOf(await frozenSession(window));
    for (const hash of blockHashChain(hashProfile, ids.slice(0, tokens.promptCount), blockTokens, salt))
      expected.add(hash);
  }
  await untilExpectedOnDisk();
  const files = await filesOnDisk();
  const named = [...files].filter((hash) => expected.has(hash)).length;
  noteFigure(`vLLM, names of block files: ${named} of ${files.size} as computed`);
  expect(files).toEqual(expected);
});

test('freeze, kill -9, restart, thaw: from disk to the floor, proven where files are in sight, the canary bit-equal, and the same answer', async () => {
  await server.kill();
  expect(await server.ended).toBe('SIGKILL');
  server = await startVllm({ model, connector: 'tiered', kvDir, port: Number(new URL(server.url).port) }, never);
  for (const [window, verdict, checksums] of [
    ['turned', 'proven', 'agreed'],
    ['original', 'proven', 'agreed'],
    ['chat', 'proven', 'agreed'],
    ['blind', 'reused', 'not-run'],
  ] as const) {
    const receipt = await product.cwm.thaw({ window }, never);
    expect(receipt, window).toMatchObject({
      verdict,
      tier: 'disk',
      cachedTokens: floorOf(receipt.tokens),
      cachedTokensFrom: 'usage',
      repair: 'none',
      content: { checksums, canary: 'agreed', canaryDifference: 0, canaryNoise: 0, blocksHashed: 0, blocksDamaged: 0 },
    });
    expect(await goOn(receipt.session), window).toEqual(undamaged.get(window));
  }
});

test('after the restart the clone is warm as soon as the original is', async () => {
  const receipt = await product.cwm.thaw({ window: 'clone' }, never);
  expect(receipt).toMatchObject({
    verdict: 'proven',
    tier: 'device',
    kvBytesWritten: 0,
    content: { canaryDifference: 0 },
  });
});

test('on a second server that shares the folder: proven from disk, also when its own memory has room for little', async () => {
  await using second = await startVllm(
    // Room for one of the windows, so that each drives out the one before.
    { model, connector: 'tiered', kvDir, maxModelLen: 1024, deviceBlocks: 40, hostTierBytes: 2 * 2 ** 20 },
    never,
  );
  const engine = seen(second.url, kvDir);
  const tiers: (string | null)[] = [];
  for (const window of ['turned', 'original', 'chat', 'turned', 'original', 'chat']) {
    const receipt = await product.cwm.thaw({ window, engine }, never);
    expect(receipt, window).toMatchObject({
      verdict: 'proven',
      cachedTokens: floorOf(receipt.tokens),
      content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0 },
    });
    tiers.push(receipt.tier);
    expect(await goOn(receipt.session, engine), window).toEqual(undamaged.get(window));
  }
  expect(tiers.slice(0, 3)).toEqual(['disk', 'disk', 'disk']);
  expect(tiers.slice(3)).not.toContain('device');
  noteFigure(
    `vLLM, a device cache of 40 blocks and windows of 11 to 23: second thaws came from ${tiers.slice(3).join(', ')}`,
  );
});

const frozenSession = async (window: string): Promise<string> =>
  (await product.cwm.getWindow({ window })).manifest.session;
