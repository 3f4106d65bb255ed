import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import {
  blind,
  blockTokens,
  floorOf,
  frozenContext,
  liveProduct,
  prose,
  seen,
  type FrozenContext,
  type LiveProduct,
} from './liveProduct.ts';
import { missRates, type Flip } from './missRate.ts';
import { pseudoRandom } from './pseudoRandom.ts';
import { complete, tokenize, type Completion } from './rawVllm.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * What thaws make of one flipped bit in a block file of a real vLLM, out of sight and in it. Each flip has a window of its own, and one restart
 * serves a batch of them. `CWM_FLIPS=vllm=N` chooses how many; by night 3,000.
 */

const never = new AbortController().signal;
const wanted = /\bvllm=(\d+)/.exec(process.env['CWM_FLIPS'] ?? '')?.[1];
const count = wanted === undefined ? (process.env['CWM_NIGHTLY'] === '1' ? 3_000 : 20) : Number(wanted);
const batchSize = 60;
const answerTokens = 32;
/** Printing a float32 in decimal and reading it back moves it by less than this, in nats. */
const printingError = 1e-6;
/** KV that was computed again moves a log-probability by less than this, in nats (0.0079 measured); of two near-equal tokens the other one may lead. */
const rounding = 0.02;

/** By turns: any bit or one of the two highest of an exponent, and twice out of sight for each in sight. */
const kindOf = (index: number) => ({ bits: index % 2 === 0 ? 'any' : 'high', isInSight: index % 6 > 3 }) as const;

interface Flipped {
  readonly name: string;
  readonly isInSight: boolean;
  readonly bits: 'any' | 'high';
  readonly frozen: FrozenContext;
  readonly whole: Completion;
}

let model: VllmModel;
let folder: string;
let kvDir: string;
let server: ModelServer;
let product: LiveProduct;
let questionIds: readonly number[];
const random = pseudoRandom(7);

const start = (port?: number): Promise<ModelServer> =>
  startVllm({ model, connector: 'tiered', kvDir, ...(port !== undefined && { port }) }, never);

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-flips-'));
  kvDir = join(folder, 'kv');
  server = await start();
  product = await liveProduct();
  questionIds = await tokenize(server.url, model.name, '\nAnd what follows from that?\n');
});
afterAll(async () => {
  await product[Symbol.asyncDispose]();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What follows a question, over whatever KV the server has under the salt of the freeze. Null where it fails over it. */
const answer = ({ ids, salt }: FrozenContext): Promise<Completion> =>
  complete(server.url, { model: model.name, promptIds: [...ids, ...questionIds], salt, maxTokens: answerTokens });

async function freeze(name: string, isInSight: boolean): Promise<Omit<Flipped, 'bits'>> {
  await product.cwm.createSession({ id: name, engine: isInSight ? seen(server.url, kvDir) : blind(server.url) });
  await product.cwm.send({ session: name, text: prose(name, 120), maxTokens: 40 }, never);
  const receipt = await product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
  expect(receipt.verdict, name).toBe(isInSight ? 'proven' : 'reused');
  const frozen = await frozenContext(product, name);
  return { name, isInSight, frozen, whole: await answer(frozen) };
}

async function flip({ frozen, bits }: Flipped, files: ReadonlyMap<string, string>): Promise<void> {
  const blocks = floorOf(frozen.ids.length) / blockTokens;
  const path = files.get(frozen.hashes[Math.floor(random() * blocks)] ?? '') ?? '';
  const { size } = await stat(path);
  // The upper half of a bfloat16 has its exponent's highest bits.
  const at = bits === 'any' ? Math.floor(random() * size) : 2 * Math.floor(random() * Math.floor(size / 2)) + 1;
  const mask = bits === 'any' ? 1 << Math.floor(random() * 8) : random() < 0.5 ? 0x20 : 0x40;
  await using file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ mask), 0, 1, at);
}

/** The largest difference of a log-probability, up to the first token that is another. */
function farthest(whole: Completion, now: Completion): number {
  let difference = 0;
  for (const [at, logprobs] of whole.topLogprobs.entries()) {
    const there = now.topLogprobs[at] ?? {};
    for (const [token, logprob] of Object.entries(logprobs))
      difference = Math.max(difference, Math.abs(logprob - (there[token] ?? Math.min(...Object.values(there)))));
    if (whole.answerIds[at] !== now.answerIds[at]) return Math.max(difference, 2 * printingError);
  }
  return Number.isNaN(difference) ? Infinity : difference;
}

const isSame = (one: Completion, other: Completion): boolean => one.answerIds.join() === other.answerIds.join();

/** Freezes, restarts the server over flipped files, thaws. */
async function runBatch(first: number, size: number) {
  const windows: Flipped[] = [];
  for (let index = first; index < first + size; index++) {
    const { bits, isInSight } = kindOf(index);
    windows.push({ ...(await freeze(`flip-${index}`, isInSight)), bits });
  }
  const control = await freeze(`control-${first}`, false);
  await server.kill();
  const files = await blockFiles(kvDir);
  for (const window of windows) await flip(window, files);
  server = await start(Number(new URL(server.url).port));
  const noise = farthest(control.whole, await answer(control.frozen));
  const results: {
    readonly flipped: Flipped;
    readonly receipt: Receipt;
    readonly flip: Flip;
    readonly isRight: boolean;
  }[] = [];
  for (const flipped of windows) {
    const receipt = await product.cwm.thaw({ window: flipped.name }, never);
    // The server still has what it loaded under the salt of the freeze, unless files in sight were deleted before.
    const then = await answer(flipped.frozen).catch(() => null);
    const isWrong = then === null || !isSame(flipped.whole, then);
    const hasMoved = isWrong || farthest(flipped.whole, then) > noise + printingError;
    const after = await frozenContext(product, flipped.name);
    const now = after.salt === flipped.frozen.salt ? then : await answer(after);
    const seenBy = { 'canary, and three beginnings': receipt.verdict !== 'reused' };
    results.push({
      flipped,
      receipt,
      flip: { seenBy, isWrong, hasMoved },
      isRight: now !== null && farthest(flipped.whole, now) < rounding,
    });
  }
  return { noise, results };
}

describe('one flipped bit in a block file', () => {
  test('is never proven; in sight it is found, and the answer is right', { timeout: 12 * 3_600_000 }, async () => {
    const all: Awaited<ReturnType<typeof runBatch>>['results'] = [];
    let noise = 0;
    while (all.length < count) {
      const batch = await runBatch(all.length, Math.min(batchSize, count - all.length));
      noise = Math.max(noise, batch.noise);
      all.push(...batch.results);
    }
    for (const bits of ['any', 'high'] as const) {
      const blindOnes = all.filter(({ flipped }) => !flipped.isInSight && flipped.bits === bits);
      const words = new Map<string, number>();
      for (const { receipt } of blindOnes) words.set(`${receipt.verdict}`, (words.get(`${receipt.verdict}`) ?? 0) + 1);
      for (const { check, misses, flips, upperBound, wrongUnseen, moving } of missRates(
        blindOnes.map(({ flip }) => flip),
      ))
        noteFigure(
          `vLLM, out of sight, ${bits} bits, ${check}: ${misses} of ${flips} missed (below ${(100 * upperBound).toFixed(1)} % at 95 %), ` +
            `${wrongUnseen} with another token; ${moving} moved the answer; words ${JSON.stringify(Object.fromEntries(words))}; noise ${noise.toExponential(1)}`,
        );
    }
    const inSight = all.filter(({ flipped }) => flipped.isInSight);
    noteFigure(
      `vLLM, in sight: ${inSight.length} flips, ${inSight.filter(({ receipt }) => receipt.content.blocksDamaged === 1).length} found, ${inSight.filter(({ isRight }) => isRight).length} right answers`,
    );
    expect(all.filter(({ receipt }) => receipt.verdict === 'proven')).toEqual([]);
    for (const { receipt, isRight } of inSight) {
      expect(receipt).toMatchObject({ repair: 'blocks-deleted', content: { blocksDamaged: 1 } });
      expect(isRight).toBe(true);
    }
    // Whatever the canary saw was given up, and what was computed instead answers as ever.
    for (const { receipt, isRight } of all)
      if (receipt.verdict === 'damaged' || receipt.verdict === 'rebuilt') expect(isRight).toBe(true);
  });
});
