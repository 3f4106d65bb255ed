import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { isNightly } from '../../support/nightly.ts';
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
import { complete, resetMemory, tokenize, type Completion } from './rawVllm.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * What thaws make of one flipped bit in a block file of a real vLLM, out of sight and in it. Windows take turns: each round flips one bit for each
 * of them. The first round begins with `kill -9`, the others with vLLM's own reset of what it has in memory. `CWM_FLIPS='vllm=N minutes=M'` chooses
 * how many flips, and after how many minutes no other round begins; by night 3,000 out of sight.
 */

const never = new AbortController().signal;
const given = (name: string): number | null => {
  const value = new RegExp(String.raw`\b${name}=(\d+)`).exec(process.env['CWM_FLIPS'] ?? '')?.[1];
  return value === undefined ? null : Number(value);
};
/** Every sixth window and the next one are in sight. */
const isInSight = (index: number): boolean => index % 12 > 9;
const count = given('vllm') ?? (isNightly ? 3_600 : 24);
const latestMs = (given('minutes') ?? Infinity) * 60_000;
const mostWindows = 60;
const answerTokens = 32;
/** Printing a float32 in decimal and reading it back moves it by less than this, in nats. */
const printingError = 1e-6;
/** KV that was computed again moves a log-probability by less than this, in nats (0.0079 measured); of two near-equal tokens the other one may lead. */
const rounding = 0.02;

interface FrozenWindow {
  readonly name: string;
  readonly isInSight: boolean;
  readonly bits: 'any' | 'high';
  frozen: FrozenContext;
  whole: Completion;
}

interface Result {
  readonly window: Pick<FrozenWindow, 'name' | 'isInSight' | 'bits'>;
  readonly receipt: Receipt;
  readonly flip: Flip;
  readonly isRight: boolean;
}

let model: VllmModel;
let folder: string;
let kvDir: string;
let server: ModelServer;
let product: LiveProduct;
let questionIds: readonly number[];
/** Each night flips others. */
const seed = given('seed') ?? (isNightly ? Math.floor(Date.now() / 86_400_000) : 7);
const random = pseudoRandom(seed);

const start = (port?: number): Promise<ModelServer> =>
  startVllm(
    { model, connector: 'tiered', kvDir, devMode: true, threads: 1, ...(port !== undefined && { port }) },
    never,
  );

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

/** What follows a question, over whatever KV the server has under that salt. It stores nothing: a file over damaged KV would outlive the flip. */
const answer = ({ ids, salt }: FrozenContext): Promise<Completion> =>
  complete(server.url, {
    model: model.name,
    promptIds: [...ids, ...questionIds],
    salt,
    maxTokens: answerTokens,
    keptTokens: 0,
  });

async function freeze(index: number): Promise<FrozenWindow> {
  const window = {
    name: `flip-${index}`,
    isInSight: isInSight(index),
    bits: index % 2 === 0 ? 'any' : 'high',
  } as const;
  const { name } = window;
  await product.cwm.createSession({ id: name, engine: window.isInSight ? seen(server.url, kvDir) : blind(server.url) });
  await product.cwm.send({ session: name, text: prose(name, 120), maxTokens: 40 }, never);
  const receipt = await product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
  expect(receipt.verdict, name).toBe(window.isInSight ? 'proven' : 'reused');
  const frozen = await frozenContext(product, name);
  return { ...window, frozen, whole: await answer(frozen) };
}

/** Flips one bit of one of the window's files. @returns what flips it back. */
async function flip({ frozen, bits }: FrozenWindow, files: ReadonlyMap<string, string>): Promise<() => Promise<void>> {
  const blocks = floorOf(frozen.ids.length) / blockTokens;
  const path = files.get(frozen.hashes[Math.floor(random() * blocks)] ?? '') ?? '';
  const { size } = await stat(path);
  // The upper half of a bfloat16 has its exponent's highest bits.
  const at = bits === 'any' ? Math.floor(random() * size) : 2 * Math.floor(random() * Math.floor(size / 2)) + 1;
  const mask = bits === 'any' ? 1 << Math.floor(random() * 8) : random() < 0.5 ? 0x20 : 0x40;
  const turn = async (): Promise<void> => {
    await using file = await open(path, 'r+');
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.of((buffer[0] ?? 0) ^ mask), 0, 1, at);
  };
  await turn();
  return turn;
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

/** Leaves the KV of all windows in files alone, flips a bit for each while the server cannot notice, and gives the server back. */
async function flipAll(windows: readonly FrozenWindow[], afterCrash: boolean): Promise<(() => Promise<void>)[]> {
  const all = async (): Promise<(() => Promise<void>)[]> => {
    const files = await blockFiles(kvDir);
    const back: (() => Promise<void>)[] = [];
    for (const window of windows) back.push(await flip(window, files));
    return back;
  };
  if (afterCrash) {
    await server.kill();
    const back = await all();
    server = await start(Number(new URL(server.url).port));
    return back;
  }
  // Another request is another step of the engine, which it needs to write what it holds.
  do await complete(server.url, { model: model.name, promptIds: questionIds, keptTokens: 0 });
  while (!(await resetMemory(server.url)));
  return all();
}

async function thawFlipped(window: FrozenWindow, flipBack: () => Promise<void>, noise: number): Promise<Result> {
  const { name, frozen, whole } = window;
  const receipt = await product.cwm.thaw({ window: name }, never);
  // The server still has what it loaded under the salt of the freeze, unless files in sight were deleted before. It may fail over it.
  const then = await answer(frozen).catch(() => null);
  const isWrong = then === null || !isSame(whole, then);
  const hasMoved = isWrong || farthest(whole, then) > noise + printingError;
  const after = await frozenContext(product, name);
  const hasOtherSalt = after.salt !== frozen.salt;
  const now = hasOtherSalt ? await answer(after) : then;
  if (hasOtherSalt) {
    const files = await blockFiles(kvDir);
    for (const hash of frozen.hashes) await rm(files.get(hash) ?? '', { force: true });
  } else if (!window.isInSight) await flipBack();
  const isRight = now !== null && farthest(whole, now) < rounding;
  window.frozen = after;
  if ((hasOtherSalt || window.isInSight) && now) window.whole = now;
  const seenBy = { 'canary, and three beginnings': receipt.verdict !== 'reused' };
  return { window: { ...window }, receipt, flip: { seenBy, isWrong, hasMoved }, isRight };
}

describe('one flipped bit in a block file', () => {
  test('is never proven; in sight it is found, and the answer is right', { timeout: 12 * 3_600_000 }, async () => {
    const startedMs = performance.now();
    const windows: FrozenWindow[] = [];
    while (windows.length < Math.min(count, mostWindows)) windows.push(await freeze(windows.length));
    const control = await freeze(windows.length);
    const all: Result[] = [];
    let noise = 0;
    while (all.length < count && (all.length === 0 || performance.now() - startedMs < latestMs)) {
      const round = windows.slice(0, count - all.length);
      const back = await flipAll(round, all.length === 0);
      const roundNoise = farthest(control.whole, await answer(control.frozen));
      noise = Math.max(noise, roundNoise);
      for (const [index, window] of round.entries())
        all.push(await thawFlipped(window, back[index] ?? (() => Promise.resolve()), roundNoise));
      console.log(`${all.length} flips after ${Math.round((performance.now() - startedMs) / 1000)} s`);
    }
    for (const bits of ['any', 'high'] as const) {
      const blindOnes = all.filter(({ window }) => !window.isInSight && window.bits === bits);
      const words = new Map<string, number>();
      for (const { receipt } of blindOnes) words.set(`${receipt.verdict}`, (words.get(`${receipt.verdict}`) ?? 0) + 1);
      for (const { check, misses, flips, upperBound, wrongUnseen, moving } of missRates(
        blindOnes.map(({ flip }) => flip),
      ))
        noteFigure(
          `vLLM, out of sight, ${bits} bits, ${check}: ${misses} of ${flips} missed (below ${(100 * upperBound).toFixed(1)} % at 95 %), ` +
            `${wrongUnseen} with another token; ${moving} moved the answer; words ${JSON.stringify(Object.fromEntries(words))}; noise ${noise.toExponential(1)}; seed ${seed}`,
        );
    }
    const inSight = all.filter(({ window }) => window.isInSight);
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
