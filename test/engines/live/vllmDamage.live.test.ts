import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Receipt, Repair, Verdict } from '../../../src/protocol/schemas/receipt.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import { blind, blockTokens, frozenContext, liveProduct, prose, seen, type LiveProduct } from './liveProduct.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * What a thaw makes of damaged KV on a real vLLM, which itself checks nothing but sizes. Each kind of damage is done twice:
 * to a window whose block files the product can read, and to one where only the canary can tell.
 */

type Sight = 'files in sight' | 'canary only';

/** The files of one window, first block first, and those of a window with another text. */
interface Files {
  readonly own: readonly string[];
  readonly others: readonly string[];
}

interface Damage {
  readonly kind: string;
  readonly damage: (files: Files) => Promise<void>;
  /** Blocks before the first bad one: what is still good. */
  readonly goodBlocks: number;
  readonly outcome: Readonly<Record<Sight, readonly [Verdict, Repair]>>;
}

const bad = 5;
const file = (files: readonly string[], index: number): string => {
  const path = files[index];
  if (path === undefined) throw new Error(`there is no block ${index}`);
  return path;
};
const overwrite = async (path: string, bytesOf: (bytes: Buffer) => Buffer): Promise<void> =>
  writeFile(path, bytesOf(await readFile(path)));
const swap = async (one: string, two: string): Promise<void> => {
  await rename(one, `${one}.aside`);
  await rename(two, one);
  await rename(`${one}.aside`, two);
};

const deletedOrGivenUp = {
  'files in sight': ['partial', 'blocks-deleted'],
  'canary only': ['damaged', 'salt-advanced'],
} as const;

const damages: readonly Damage[] = [
  {
    kind: 'random bytes',
    damage: ({ own }) => overwrite(file(own, bad), ({ length }) => randomBytes(length)),
    goodBlocks: bad,
    outcome: deletedOrGivenUp,
  },
  {
    kind: 'zeros',
    damage: ({ own }) => overwrite(file(own, bad), ({ length }) => Buffer.alloc(length)),
    goodBlocks: bad,
    outcome: deletedOrGivenUp,
  },
  {
    // The highest bit of a bfloat16's exponent: what was a fraction is now beyond all measure.
    kind: 'one bit',
    damage: ({ own }) =>
      overwrite(file(own, bad), (bytes) => {
        bytes.writeUInt8(bytes.readUInt8(8001) ^ 0x40, 8001);
        return bytes;
      }),
    goodBlocks: bad,
    outcome: deletedOrGivenUp,
  },
  {
    kind: 'cut short',
    damage: async ({ own }) => truncate(file(own, bad), (await stat(file(own, bad))).size / 2),
    goodBlocks: bad,
    outcome: { 'files in sight': ['partial', 'blocks-deleted'], 'canary only': ['partial', 'none'] },
  },
  {
    kind: 'missing',
    damage: ({ own }) => rm(file(own, bad)),
    goodBlocks: bad,
    outcome: { 'files in sight': ['partial', 'none'], 'canary only': ['partial', 'none'] },
  },
  {
    kind: "swapped with another text's",
    damage: ({ own, others }) => swap(file(own, bad), file(others, bad)),
    goodBlocks: bad,
    outcome: deletedOrGivenUp,
  },
  {
    kind: 'one missing, zeros before it',
    damage: async ({ own }) => {
      await rm(file(own, bad + 4));
      await overwrite(file(own, bad), ({ length }) => Buffer.alloc(length));
    },
    goodBlocks: bad,
    outcome: deletedOrGivenUp,
  },
];
const sights: readonly Sight[] = ['files in sight', 'canary only'];
const cases = damages.flatMap((damage) =>
  sights.map((sight) => ({ ...damage, sight, name: nameOf(damage.kind, sight) })),
);

function nameOf(kind: string, sight: Sight): string {
  return `${kind}-${sight}`.replaceAll(/[^a-z]+/gu, '-');
}

const interrupted = new AbortController();
const never = interrupted.signal;
const question = 'And what follows from that?';

let model: VllmModel;
let otherWeights: VllmModel;
let folder: string;
let kvDir: string;
let server: ModelServer;
let product: LiveProduct;
/** What follows the common text on a server where nothing was ever killed. */
let undamaged: readonly number[];

const engineOf = (sight: Sight): string => (sight === 'canary only' ? blind(server.url) : seen(server.url, kvDir));
const launch = (weights: VllmModel, port?: number): Promise<ModelServer> =>
  startVllm({ model: weights, connector: 'tiered', kvDir, ...(port !== undefined && { port }) }, never);

async function restart(weights: VllmModel): Promise<void> {
  await server.kill();
  server = await launch(weights, Number(new URL(server.url).port));
}

/** A window with a text, under a salt of its own. @returns what the model says next. */
async function freeze(name: string, text: string, sight: Sight): Promise<readonly number[]> {
  await product.cwm.createSession({ id: name, engine: engineOf(sight) });
  await product.cwm.send({ session: name, text, maxTokens: 40 }, never);
  const receipt = await product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
  expect(receipt.verdict, name).toBe(sight === 'canary only' ? 'reused' : 'proven');
  return goOn(name);
}

async function goOn(session: string): Promise<readonly number[]> {
  return (await product.cwm.send({ session, text: question, maxTokens: 16 }, never)).outputIds;
}

const thaw = (window: string): Promise<Receipt> => product.cwm.thaw({ window }, never);

async function filesOf(name: string): Promise<string[]> {
  const files = await blockFiles(kvDir);
  return (await frozenContext(product, name)).hashes.map((hash) => {
    const path = files.get(hash);
    if (path === undefined) throw new Error(`a block of ${name} has no file`);
    return path;
  });
}

const row = (what: string, { verdict, cachedTokens, floorTokens, content, repair }: Receipt, answer: string): void =>
  noteFigure(
    `vLLM, ${what}: ${verdict}, ${cachedTokens} of ${floorTokens} reused, checksums ${content.checksums}, canary ${content.canary}` +
      `${content.canaryDifference === null ? '' : ` (${content.canaryDifference.toExponential(1)})`}, repair ${repair}, ${answer}`,
  );

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  otherWeights = await vllmModel('tiny', { seed: 1, signal: never, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  kvDir = join(folder, 'kv');
  server = await launch(model);
  product = await liveProduct();

  const answers: (readonly number[])[] = [];
  for (const { name, sight } of cases) {
    answers.push(await freeze(name, prose('the text of all', 150), sight));
    await freeze(`${name}-other`, prose(`another than ${name}`, 150), 'files in sight');
  }
  for (const sight of sights) {
    for (const name of [nameOf('swapped within', sight), nameOf('weights', sight)])
      answers.push(await freeze(name, prose('the text of all', 150), sight));
  }
  answers.push(await freeze('weights-reference', prose('the text of all', 150), 'files in sight'));
  [undamaged = []] = answers;
  expect(answers.every((answer) => answer.join() === undamaged.join())).toBe(true);

  await server.kill();
  for (const { name, damage } of cases)
    await damage({ own: await filesOf(name), others: await filesOf(`${name}-other`) });
  for (const sight of sights) {
    const own = await filesOf(nameOf('swapped within', sight));
    await swap(file(own, bad), file(own, bad + 3));
  }
  for (const path of await filesOf('weights-reference')) await rm(path);
  server = await launch(model, Number(new URL(server.url).port));
});
afterAll(async () => {
  interrupted.abort();
  await product[Symbol.asyncDispose]();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a damaged block file is never proven, and nothing wrong is answered from it', () => {
  test.for(cases)('$kind, $sight', async ({ kind, sight, name, goodBlocks, outcome }) => {
    const receipt = await thaw(name);
    const answer = await goOn(receipt.session);
    row(`${kind}, ${sight}`, receipt, answer.join() === undamaged.join() ? 'right answer' : 'WRONG ANSWER');
    const [verdict, repair] = outcome[sight];
    expect(receipt).toMatchObject({ verdict, repair });
    // What can't be told apart from the bad block is given up with it.
    if (repair === 'salt-advanced') expect(receipt.cachedTokens).toBe(0);
    else expect(receipt.cachedTokens).toBeGreaterThanOrEqual(goodBlocks * blockTokens);
    expect(receipt.cachedTokens).toBeLessThan(receipt.floorTokens ?? 0);
    expect(answer).toEqual(undamaged);
  });

  test.for(sights)('two files of one window swapped, %s', async (sight) => {
    const receipt = await thaw(nameOf('swapped within', sight));
    const answer = await goOn(receipt.session);
    row(
      `swapped within the window, ${sight}`,
      receipt,
      answer.join() === undamaged.join() ? 'right answer' : 'WRONG ANSWER',
    );
    // Keys hold their positions, and attention adds over a set: the whole context answers the same, only its beginnings do not.
    const [verdict, repair] = deletedOrGivenUp[sight];
    expect(receipt).toMatchObject({ verdict, repair });
    expect(answer).toEqual(undamaged);
  });
});

describe('other weights under the same name, which no block hash contains', () => {
  /** What these weights say next when nothing of the old KV is left. */
  let ownAnswer: readonly number[];

  beforeAll(async () => {
    await restart(otherWeights);
    const reference = await thaw('weights-reference');
    // What came after the window is still on disk, made by the weights of the freeze: not to be reached any more either.
    expect(reference).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0, repair: 'salt-advanced' });
    ownAnswer = await goOn(reference.session);
    expect(ownAnswer).not.toEqual(undamaged);
  });

  test.for(sights)('%s: damaged, and what follows is what these weights compute themselves', async (sight) => {
    const receipt = await thaw(nameOf('weights', sight));
    const answer = await goOn(receipt.session);
    row(`other weights, ${sight}`, receipt, answer.join() === ownAnswer.join() ? 'right answer' : 'WRONG ANSWER');
    expect(receipt).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced', content: { canary: 'disagreed' } });
    expect(answer).toEqual(ownAnswer);
  });
});

describe('after another restart with the weights of the freeze', () => {
  beforeAll(() => restart(model));

  test.for(cases)('$kind, $sight: whole again, and it answers as ever', async ({ kind, sight, name }) => {
    const receipt = await thaw(name);
    const answer = await goOn(receipt.session);
    row(
      `${kind}, ${sight}, after the repair`,
      receipt,
      answer.join() === undamaged.join() ? 'right answer' : 'WRONG ANSWER',
    );
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(receipt.tier).toBe('disk');
    expect(answer).toEqual(undamaged);
  });

  test.for(sights)('KV of the other weights is not taken for its own, %s', async (sight) => {
    const receipt = await thaw(nameOf('weights', sight));
    expect(receipt.verdict).toBe('damaged');
    expect(await goOn(receipt.session)).toEqual(undamaged);
  });
});
