import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';

import { saltOf } from '../../../src/core/ports/lineages.ts';
import type { Receipt, Repair, Verdict } from '../../../src/protocol/schemas/receipt.ts';
import { fetchAlone } from './fetchAlone.ts';
import { engineRecipes } from './engineRecipe.ts';
import { noteFigure } from './figures.ts';
import { freePort, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';
import { floorOf, frozenContext, liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import { startCoordinator, startLmcache, type LmcacheServer } from './lmcacheServer.ts';
import { sharedMemoryOf } from './sharedMemory.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * A real LMCache behind a real vLLM, through the product: coordinator, server and file tier. One set of them serves all tests, in
 * their order: what is kept and let go, `kill -9` of all three and damaged files, another restart, and a lost coordinator.
 */

const isInstalled = installedPython(engineRecipes.lmcache) !== undefined;
if (!isInstalled) console.log('LMCache is not installed (npm run engines:install lmcache): its suite is left out.');

const interrupted = new AbortController();
const never = interrupted.signal;
const question = 'And what follows from that?';
const pieceTokens = 256;

let model: VllmModel;
let folder: string;
let kvDir: string;
let servers: Servers | undefined;
let product: LiveProduct;

interface Servers {
  readonly coordinator: ModelServer;
  readonly lmcache: LmcacheServer;
  readonly vllm: ModelServer;
}

const running = (): Servers => {
  if (!servers) throw new Error('The servers were not started.');
  return servers;
};
const portOf = ({ url }: ModelServer): number => Number(new URL(url).port);
const engine = (): string => `${running().vllm.url}#lmcache=${running().coordinator.url}`;

/** All at once, at the ports that they had: they find each other. @param coordinator one that still runs. */
async function start(coordinator?: ModelServer): Promise<void> {
  const [coordinatorPort, lmcachePort, port] = servers
    ? [portOf(servers.coordinator), servers.lmcache.port, portOf(servers.vllm)]
    : [await freePort(), await freePort(), await freePort()];
  const coordinatorUrl = `http://127.0.0.1:${coordinatorPort}`;
  const [keeping, lmcache, vllm] = await Promise.all([
    coordinator ?? startCoordinator({ stateDir: folder, port: coordinatorPort }, never),
    startLmcache({ kvDir, coordinatorUrl, port: lmcachePort }, never),
    startVllm({ model, connector: 'lmcache', lmcachePort, port }, never),
  ]);
  servers = { coordinator: keeping, lmcache, vllm };
}

const pinsSchema = z.object({ total: z.number() });
const lookupSchema = z.object({
  results: z.array(
    z.object({
      key: z.object({ chunk_hash_hex: z.string() }),
      placements: z.array(z.object({ tier: z.string() })),
    }),
  ),
});

/** The coordinator's own word on pins. */
const pinsOf = async (salt: string): Promise<number> => {
  const response = await fetchAlone(`${running().coordinator.url}/cache/pins?cache_salt=${salt}`);
  return pinsSchema.parse(await response.json()).total;
};

/** The same on each piece of a window's context, in order. */
async function piecesOf(window: string) {
  const { ids, salt } = await frozenContext(product, window);
  const response = await fetchAlone(`${running().coordinator.url}/directory/lookup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model_name: model.name, world_size: 1, token_ids: ids, cache_salt: salt }),
  });
  return lookupSchema.parse(await response.json()).results;
}

/** What really lies in LMCache's folder under a salt. */
const filesOf = async (salt: string): Promise<string[]> =>
  (await readdir(kvDir)).filter((name) => name.includes(`@${salt}.`)).map((name) => join(kvDir, name));

async function saltOfSession(session: string): Promise<string> {
  const { lineage } = await product.cwm.getSession({ session });
  return saltOf(await product.store.lineages.get(lineage));
}

const send = (session: string, text: string, maxTokens: number) =>
  product.cwm.send({ session, text, maxTokens }, never);
const goOn = async (session: string): Promise<readonly number[]> => (await send(session, question, 16)).outputIds;
const freeze = (window: string): Promise<Receipt> =>
  product.cwm.freeze({ session: window, window, checkpoint: true }, never);
const thaw = (window: string): Promise<Receipt> => product.cwm.thaw({ window }, never);
const inPieces = (tokens: number): number => Math.floor(tokens / pieceTokens);
const said = ({ notes }: Receipt): string => notes.join(' ');

const pieces = 4;
/** What a context has beyond whole pieces: so little that vLLM's own blocks would give no more, or some blocks. */
const beyondPieces = { little: { words: 440, least: 2, below: 30 }, blocks: { words: 490, least: 70, below: 240 } };

/** A session with one turn: four whole pieces and some tokens. */
async function open(id: string, about: string, beyond: keyof typeof beyondPieces): Promise<void> {
  const { words, least, below } = beyondPieces[beyond];
  const text = prose(about, words);
  await product.cwm.createSession({ id: `${id}-short`, engine: engine() });
  const { promptTokens } = await send(`${id}-short`, text, 1);
  const maxTokens = Math.max(8, pieces * pieceTokens + least - promptTokens);
  expect(promptTokens + maxTokens).toBeLessThan(pieces * pieceTokens + below);
  await product.cwm.createSession({ id, engine: engine() });
  await send(id, text, maxTokens);
}

const row = (what: string, { verdict, tier, cachedTokens, floorTokens, content, repair }: Receipt, answer: string) =>
  noteFigure(
    `LMCache, ${what}: ${verdict}, tier ${tier}, ${cachedTokens} of ${floorTokens} reused, canary ${content.canary}` +
      `${content.canaryDifference === null ? '' : ` (${content.canaryDifference.toExponential(1)})`}, repair ${repair}, ${answer}`,
  );

interface Damage {
  readonly kind: string;
  readonly damage: (path: string) => Promise<void>;
  readonly outcome: { readonly verdicts: readonly Verdict[]; readonly repair: Repair };
  /** Pieces that come back after another restart. */
  readonly piecesAfterwards: number;
}

const bad = 2;
const overwrite = async (path: string, bytesOf: (bytes: Buffer) => Buffer): Promise<void> =>
  writeFile(path, bytesOf(await readFile(path)));
// Zeros may be off by no more than a few times the rounding of a fresh computation: then nobody can say that it was damage.
const givenUp = { verdicts: ['damaged', 'rebuilt'], repair: 'salt-advanced' } as const;
const fromThereOn = { verdicts: ['partial'], repair: 'none' } as const;
const damages: readonly Damage[] = [
  {
    kind: 'zeroed',
    damage: (path) => overwrite(path, ({ length }) => Buffer.alloc(length)),
    outcome: givenUp,
    piecesAfterwards: pieces,
  },
  {
    // The highest bit of a bfloat16's exponent: what was a fraction is now beyond all measure.
    kind: 'one bit off',
    damage: (path) =>
      overwrite(path, (bytes) => {
        bytes.writeUInt8(bytes.readUInt8(8001) ^ 0x40, 8001);
        return bytes;
      }),
    outcome: givenUp,
    piecesAfterwards: pieces,
  },
  {
    kind: 'cut short',
    damage: async (path) => truncate(path, (await stat(path)).size / 2),
    outcome: fromThereOn,
    // LMCache neither uses such a file nor writes it anew.
    piecesAfterwards: bad,
  },
  { kind: 'missing', damage: (path) => rm(path), outcome: fromThereOn, piecesAfterwards: pieces },
];
const nameOf = (kind: string): string => kind.replaceAll(' ', '-');

/** What follows each window before anything was killed. */
const undamaged = new Map<string, readonly number[]>();

/** Thaws a window, goes on from it, and notes both. */
async function thawAndGoOn(what: string, window: string): Promise<Receipt> {
  const receipt = await thaw(window);
  const answer = await goOn(receipt.session);
  row(what, receipt, answer.join() === undamaged.get(window)?.join() ? 'right answer' : 'WRONG ANSWER');
  expect(answer, what).toEqual(undamaged.get(window));
  return receipt;
}

describe.skipIf(!isInstalled)('LMCache behind vLLM', () => {
  beforeAll(async () => {
    model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
    folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
    kvDir = join(folder, 'kv');
    await mkdir(kvDir);
    product = await liveProduct();
    await start();
  });
  afterAll(async () => {
    interrupted.abort();
    await product[Symbol.asyncDispose]();
    await Promise.all(Object.values(servers ?? {}).map((server: ModelServer) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test('a turn alone pins nothing; a freeze finds every piece on disk and pins it', async () => {
    await open('whole', 'a long question', 'little');
    await open('tail', 'another question', 'blocks');
    for (const window of ['whole', 'tail']) {
      const salt = await saltOfSession(window);
      expect(await pinsOf(salt)).toBe(0);

      const receipt = await freeze(window);
      expect(inPieces(receipt.tokens)).toBe(pieces);
      expect(receipt).toMatchObject({ verdict: 'reused', content: { canary: 'agreed', canaryNoise: 0 } });
      expect(said(receipt)).toContain(`it has ${pieces} of ${pieces} pieces of this context, ${pieces} of them where`);
      expect(await pinsOf(salt)).toBe(pieces);
      expect(await filesOf(salt)).toHaveLength(pieces);
      const onDisk = (await piecesOf(window)).filter(({ placements }) => placements.some(({ tier }) => tier === 'l2'));
      expect(onDisk).toHaveLength(pieces);
      undamaged.set(window, await goOn(window));
      noteFigure(
        `LMCache, a freeze of ${receipt.tokens} tokens: ${pieces} pieces pinned, ${Math.round(receipt.ms)} ms`,
      );
    }
  });

  test('two sessions with the same text share nothing', async () => {
    const text = prose('asked twice', 480);
    for (const id of ['first', 'second']) {
      await product.cwm.createSession({ id, engine: engine() });
      expect((await send(id, text, 8)).cachedTokens, id).toBe(0);
    }
  });

  test("a clone's delete leaves the original's pins; the delete of the last leaves neither pin nor file", async () => {
    await open('original', 'to be cloned', 'blocks');
    const salt = await saltOfSession('original');
    await freeze('original');
    await product.cwm.clone({ window: 'original', target: 'clone' }, never);
    expect(await thaw('clone')).toMatchObject({ verdict: 'reused', tier: 'device' });
    expect([await pinsOf(salt), (await filesOf(salt)).length]).toEqual([pieces, pieces]);
    await product.cwm.deleteWindow({ window: 'clone' }, never);
    expect([await pinsOf(salt), (await filesOf(salt)).length]).toEqual([pieces, pieces]);
    await product.cwm.deleteWindow({ window: 'original' }, never);
    expect([await pinsOf(salt), await filesOf(salt)]).toEqual([0, []]);
  });

  describe('after kill -9 of vLLM, LMCache and its coordinator', () => {
    /** Of each damaged window the file of one piece. */
    const badFiles = new Map<string, string>();

    beforeAll(async () => {
      for (const window of damages.map(({ kind }) => nameOf(kind))) {
        await open(window, 'the text of all', 'blocks');
        await freeze(window);
        undamaged.set(window, await goOn(window));
      }
      for (const window of damages.map(({ kind }) => nameOf(kind))) {
        const hash = (await piecesOf(window))[bad]?.key.chunk_hash_hex ?? 'none';
        const { salt } = await frozenContext(product, window);
        const path = (await filesOf(salt)).find((name) => name.includes(hash));
        if (path === undefined) throw new Error(`piece ${bad} of ${window} has no file`);
        badFiles.set(window, path);
      }
      const { coordinator, lmcache, vllm } = running();
      await Promise.all([vllm.kill(), lmcache.kill(), coordinator.kill()]);
      for (const { kind, damage } of damages) await damage(badFiles.get(nameOf(kind)) ?? '');
      await start();
    });

    test('all is reused where blocks give no more than whole pieces', async () => {
      const receipt = await thawAndGoOn('after kill -9, whole pieces', 'whole');
      expect(said(receipt)).toContain(`it has ${pieces} of ${pieces} pieces of this context, ${pieces} of them where`);
      expect(said(receipt)).not.toContain('could not help');
      expect(receipt).toMatchObject({
        verdict: 'reused',
        tier: 'external',
        cachedTokens: floorOf(receipt.tokens),
        repair: 'none',
        content: { canary: 'agreed', canaryDifference: 0 },
      });
    });

    test('elsewhere it is partial by less than a piece, and its canary agrees all the same', async () => {
      const receipt = await thawAndGoOn('after kill -9, and a tail', 'tail');
      expect(receipt).toMatchObject({
        verdict: 'partial',
        tier: 'external',
        cachedTokens: pieces * pieceTokens,
        repair: 'none',
        content: { canary: 'agreed', canaryDifference: 0 },
      });
      expect(receipt.cachedTokens).toBeLessThan(floorOf(receipt.tokens));
      expect(await thaw('tail')).toMatchObject({ verdict: 'reused', tier: 'device', content: { canary: 'agreed' } });
    });

    test.for(damages)('one file $kind: never proven, and nothing wrong is answered from it', async (damaged) => {
      const { salt } = await frozenContext(product, nameOf(damaged.kind));
      const receipt = await thawAndGoOn(damaged.kind, nameOf(damaged.kind));
      const { verdicts, repair } = damaged.outcome;
      expect(verdicts).toContain(receipt.verdict);
      expect(receipt.repair).toBe(repair);
      expect(receipt.cachedTokens).toBe(repair === 'none' ? bad * pieceTokens : 0);
      if (repair === 'none') return;
      // What was given up is let go; LMCache may still be storing a whole piece anew, under a salt that nobody uses any more.
      expect(await pinsOf(salt)).toBe(0);
      expect(await filesOf(salt)).not.toContain(badFiles.get(nameOf(damaged.kind)));
    });
  });

  describe('after kill -9 of vLLM and LMCache, which its coordinator does not miss yet', () => {
    beforeAll(async () => {
      const { coordinator, lmcache, vllm } = running();
      await Promise.all([vllm.kill(), lmcache.kill()]);
      await start(coordinator);
    });

    test('what the lost instance told of is loaded by the one that runs', async () => {
      const receipt = await thawAndGoOn('after another kill -9', 'tail');
      expect(said(receipt)).not.toContain('could not help');
      expect(receipt).toMatchObject({
        verdict: 'partial',
        tier: 'external',
        cachedTokens: pieces * pieceTokens,
        content: { canary: 'agreed', canaryDifference: 0 },
      });
    });

    test.for(damages)('the file that was $kind: it says no more than is so, and answers as ever', async (damaged) => {
      const receipt = await thawAndGoOn(`${damaged.kind}, after the repair`, nameOf(damaged.kind));
      expect(receipt).toMatchObject({
        verdict: 'partial',
        cachedTokens: damaged.piecesAfterwards * pieceTokens,
        repair: 'none',
      });
      if (damaged.outcome.repair === 'salt-advanced') expect(receipt.content.canary).toBe('agreed');
    });

    test('without a coordinator freezes and thaws continue, and say so', async () => {
      const { coordinator } = running();
      await coordinator.kill();
      await open('alone', 'nobody listens', 'blocks');
      const frozen = await freeze('alone');
      expect(frozen.verdict).toBe('reused');
      const thawed = await thaw('tail');
      expect(thawed).toMatchObject({ verdict: 'reused', tier: 'device' });
      for (const receipt of [frozen, thawed])
        expect(said(receipt)).toMatch(/LMCache's coordinator could not help: .+ \(CWM-5001\)/);
    });

    test('servers that are asked to stop leave no shared memory behind', async () => {
      const { lmcache, vllm } = running();
      const memory = [...sharedMemoryOf(vllm.pid), ...sharedMemoryOf(lmcache.pid)];
      expect(memory).not.toEqual([]);
      await Promise.all([vllm.stop(), lmcache.stop()]);
      expect(memory.filter((file) => existsSync(file))).toEqual([]);
    });
  });
});
