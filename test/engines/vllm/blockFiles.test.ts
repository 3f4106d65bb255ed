import { existsSync } from 'node:fs';
import { appendFile, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../llamaServer/coreOver.ts';
import { blockNames, contextOf, makeRig, never, someIds, type Rig } from './rig.ts';

const newContext = () => contextOf(someIds(100));
const blocksOf = async (rig: Rig, context: ReturnType<typeof contextOf>) => {
  const location = await rig.engine.locate(context, never);
  if (!location.reachable) throw new Error(location.why);
  return location.blocks;
};
const present = async (rig: Rig, context: ReturnType<typeof contextOf>): Promise<boolean[]> =>
  (await blocksOf(rig, context)).map(({ stat }) => stat !== null);

async function persisted(rig: Rig) {
  const context = newContext();
  const { notes } = await rig.engine.persist(context, never);
  expect(notes).toEqual([]);
  return context;
}

/** Root reads everything. */
async function asAnotherUser<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('vLLM’s file tier', () => {
  test('every file is named as our chain says, in a hidden folder too', async () => {
    const rig = await makeRig({ tier: { modelPath: './tiny' } });
    const context = await persisted(rig);
    const files = (await readdir(rig.rootDir, { recursive: true })).filter((name) => name.endsWith('.bin'));
    expect(files.every((name) => name.startsWith('._tiny_'))).toBe(true);
    const hashes = (await blocksOf(rig, context)).map(({ hash }) => hash);
    expect(hashes).toEqual(blockNames(context.ids));
    expect(files.map((name) => name.slice(-68, -4)).sort()).toEqual([...hashes].sort());
  });

  test('k of n blocks are seen before any request to the model', async () => {
    const rig = await makeRig({ tier: {} });
    const context = await persisted(rig);
    const asked = rig.fake.requestsTo('/v1/completions').length;
    expect(await present(rig, context)).toEqual(Array.from({ length: 6 }, () => true));
    await rm(rig.fake.blockPath(blockNames(context.ids)[2] ?? ''));
    expect(await present(rig, context)).toEqual([true, true, false, true, true, true]);
    expect(await present(rig, newContext())).toEqual(Array.from({ length: 6 }, () => false));
    expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(asked);
  });

  test.skipIf(process.platform === 'win32').each([
    ['block files', (rig: Rig, hash: string) => chmod(rig.fake.blockPath(hash), 0)],
    ['folders', (rig: Rig) => chmod(rig.rootDir, 0)],
  ])('%s that this process may not read are out of sight, which is no failure', async (_, lock) => {
    const rig = await makeRig({ tier: {} });
    const context = await persisted(rig);
    for (const folder of [rig.rootDir, dirname(rig.rootDir)]) await chmod(folder, 0o755);
    await lock(rig, blockNames(context.ids)[0] ?? '');
    const location = await asAnotherUser(() => rig.engine.locate(context, never));
    await chmod(rig.rootDir, 0o755);
    expect(location).toEqual({ reachable: false, why: expect.stringContaining('cannot be read') });
  });

  test('which of the hash profiles fits is found by looking, whatever the server says of itself', async () => {
    const profiles = [
      { algorithm: 'sha256_cbor', version: '0.31.0', saltEncoding: 'tagged' },
      { algorithm: 'sha256_cbor', version: '0.30.0', saltEncoding: 'bare' },
      { algorithm: 'sha256', version: '0.31.0', saltEncoding: 'tagged' },
      { algorithm: 'sha256', version: '0.30.0', saltEncoding: 'bare' },
    ] as const;
    for (const { algorithm, version, saltEncoding } of profiles) {
      // Without /metrics the algorithm is not told, and the block size only by the tier's own record.
      const rig = await makeRig({ tier: {}, fake: { hashAlgorithm: algorithm, version, faults: { metrics: false } } });
      const context = await persisted(rig);
      expect(await present(rig, context)).toEqual(Array.from({ length: 6 }, () => true));
      expect((await rig.engine.describe(never)).hashProfile).toMatchObject({ algorithm, saltEncoding });
    }
  });

  test('a PYTHONHASHSEED that the user names is tried too', async () => {
    const rig = await makeRig({ tier: {}, fake: { hashSeed: '42' } });
    const context = newContext();
    const seeded = await makeRig({
      engine: {
        connect: async () => ({ url: rig.fake.url }),
        blockFiles: { rootDir: rig.rootDir, hashSeeds: ['7', '42'] },
      },
    });
    expect((await seeded.engine.persist(context, never)).notes).toEqual([]);
    expect((await seeded.engine.describe(never)).hashProfile?.seed).toBe('42');
    expect(await present(rig, context)).toEqual(Array.from({ length: 6 }, () => false));
  });

  test('files that an older version left do not settle how this one names its blocks', async () => {
    const rig = await makeRig({ tier: {}, fake: { version: '0.30.0' } });
    const context = await persisted(rig);
    const updated = await makeRig({ tier: {} });
    await cp(rig.rootDir, updated.rootDir, { recursive: true });
    await present(updated, context);
    await updated.engine.persist(context, never);
    expect((await updated.engine.describe(never)).hashProfile?.saltEncoding).toBe('tagged');
    expect((await blocksOf(updated, context)).map(({ hash }) => hash)).toEqual(blockNames(context.ids));
  });

  test('a window without a whole block says that, and not that its files are out of reach', async () => {
    const rig = await makeRig({ tier: {}, fake: { blockTokens: 1024 } });
    const over = await coreOver(rig.engine);
    onTestFinished(() => over.dispose());
    await over.keep('Hello.');
    const { verdict, content, summary } = await over.thaw();
    expect(verdict).toBe('rebuilt');
    expect(content.why).toMatch(/^The context is shorter than one KV block, so it has no file\./);
    expect(summary).toContain('takes 1,025 tokens at least');
  });

  test('a file of several blocks is looked for under the name of the last of them', async () => {
    const rig = await makeRig({ tier: { blocksPerFile: 3 } });
    const context = newContext();
    // 100 tokens are 6 full blocks.
    await rig.engine.persist(context, never);
    const hashes = (await blocksOf(rig, context)).map(({ hash }) => hash);
    expect(hashes).toEqual(blockNames(context.ids).filter((_, index) => index % 3 === 2));
    expect(await present(rig, context)).toEqual([true, true]);
  });

  test('where an earlier start left a record with another number of blocks, no block is left out', async () => {
    for (const [before, now] of [
      [4, 1],
      [1, 4],
      [2, 3],
    ] as const) {
      const rig = await makeRig({ tier: { blocksPerFile: before } });
      const later = await makeRig({ tier: { blocksPerFile: now } });
      await cp(rig.rootDir, later.rootDir, { recursive: true });
      const context = newContext();
      await later.engine.persist(context, never);
      expect((await blocksOf(later, context)).map(({ hash }) => hash)).toEqual(blockNames(context.ids));
    }
  });

  test('the folder of another model, or of another block size, is left alone', async () => {
    const rig = await makeRig({ tier: { modelPath: 'org/model' } });
    const context = await persisted(rig);
    const [folder] = (await readdir(rig.rootDir)).filter((name) => name.endsWith('_r0'));
    const foreign = join(rig.rootDir, 'org_other_0123456789ab_r0');
    await cp(join(rig.rootDir, folder ?? ''), foreign, { recursive: true });
    const [hash = ''] = blockNames(context.ids);
    const foreignFile = rig.fake.blockPath(hash).replace(folder ?? '', 'org_other_0123456789ab_r0');
    expect(existsSync(foreignFile)).toBe(true);
    await rig.engine.forget({ hashes: [hash], handle: null }, never);
    expect(existsSync(rig.fake.blockPath(hash))).toBe(false);
    expect(existsSync(foreignFile)).toBe(true);
    expect((await present(rig, context))[0]).toBe(false);
  });

  test('a model in parts has a file for each rank and layer group: all of them are the block', async () => {
    const rig = await makeRig({ tier: {} });
    const context = await persisted(rig);
    const [hash = ''] = blockNames(context.ids);
    const [before] = await blocksOf(rig, context);
    const [sumBefore] = await rig.engine.checksum([hash], never);
    const first = rig.fake.blockPath(hash);
    const group = join(dirname(dirname(first)), `${hash.slice(3, 5)}_g1`, `${hash}.bin`);
    const rank = first.replace('_r0', '_r1');
    for (const copy of [group, rank]) await mkdir(dirname(copy), { recursive: true }).then(() => cp(first, copy));
    const [after] = await blocksOf(rig, context);
    expect(after?.stat?.sizeBytes).toBe(3 * (before?.stat?.sizeBytes ?? 0));
    const [sumAfter] = await rig.engine.checksum([hash], never);
    expect(sumAfter).not.toBe(sumBefore);
    await writeFile(rank, 'damaged');
    expect(await rig.engine.checksum([hash], never)).not.toEqual([sumAfter]);
    expect(await rig.engine.forget({ hashes: [hash], handle: null }, never)).toBeGreaterThan(0);
    expect([first, group, rank].map((path) => existsSync(path))).toEqual([false, false, false]);
  });

  test('a symbolic link in a block’s place is no block, and is not followed', async () => {
    const rig = await makeRig({ tier: {} });
    const context = await persisted(rig);
    const [hash = ''] = blockNames(context.ids);
    const secret = join(rig.rootDir, 'secret');
    await rename(rig.fake.blockPath(hash), secret);
    await symlink(secret, rig.fake.blockPath(hash));
    expect((await present(rig, context))[0]).toBe(false);
    expect(await rig.engine.checksum([hash], never)).toEqual([null]);
    expect(await rig.engine.forget({ hashes: [hash], handle: null }, never)).toBe(0);
    expect(existsSync(secret)).toBe(true);
  });

  test('EC-004 a good block under another block’s name has another checksum', async () => {
    const rig = await makeRig({ tier: {} });
    const [first = '', second = ''] = blockNames((await persisted(rig)).ids);
    await cp(rig.fake.blockPath(first), rig.fake.blockPath(second));
    const sums = await rig.engine.checksum([first, second], never);
    expect(sums[0]).not.toBe(sums[1]);
  });

  test('a folder that is not there is said, and claims nothing', async () => {
    const rig = await makeRig({ engine: { blockFiles: { rootDir: '/nonexistent/kv' } } });
    const location = await rig.engine.locate(newContext(), never);
    expect(location).toEqual({ reachable: false, why: 'The folder /nonexistent/kv is not there.' });
    expect((await rig.engine.persist(newContext(), never)).notes.join(' ')).toContain('/nonexistent/kv');
  });
});

describe('waiting for the files', () => {
  test('one tiny request makes an idle engine write its last block', async () => {
    const rig = await makeRig({ tier: { lastBlock: 'next-step' } });
    const context = await persisted(rig);
    const asked = rig.fake
      .requestsTo('/v1/completions')
      .map(({ body }) => (body as { prompt: number[] }).prompt.length);
    expect(asked).toEqual([100, 1]);
    expect(await present(rig, context)).toEqual(Array.from({ length: 6 }, () => true));
  });

  test('no such request is sent when the files come by themselves', async () => {
    const rig = await makeRig({ tier: {} });
    await persisted(rig);
    expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(1);
  });

  test('files that never come end the wait after its time, with k of n in the notes', async () => {
    const rig = await makeRig({ tier: {}, fake: { faults: { tier: 'writes-nothing' } } });
    const { notes } = await rig.engine.persist(newContext(), never);
    expect(notes.join(' ')).toContain('None of the 6 blocks');
    expect(rig.pauses.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(30_000);
    expect(rig.pauses.reduce((a, b) => a + b, 0)).toBeLessThan(32_000);
    // The next time it is not waited for so long.
    rig.pauses.length = 0;
    expect((await rig.engine.persist(newContext(), never)).notes.join(' ')).toContain('appeared on disk');
    expect(rig.pauses.reduce((a, b) => a + b, 0)).toBeLessThan(4_000);
  });

  test('a tier whose files cannot be seen gets its step, too, and its written bytes are reported', async () => {
    const rig = await makeRig({ tier: { lastBlock: 'next-step' }, engine: { blockFiles: undefined } });
    for (const _ of ['the first of this server', 'another']) {
      const { notes } = await rig.engine.persist(newContext(), never);
      expect(notes.join(' ')).toContain(`wrote ${6 * 256} bytes during the operation`);
    }
    const lengths = rig.fake
      .requestsTo('/v1/completions')
      .map(({ body }) => (body as { prompt: number[] }).prompt.length);
    expect(lengths).toEqual([100, 1, 100, 1]);
  });

  test('a server without a tier is neither nudged nor waited for', async () => {
    const rig = await makeRig();
    const { notes } = await rig.engine.persist(newContext(), never);
    expect(notes.join(' ')).toContain('shows no tier');
    expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(1);
    expect(rig.pauses).toEqual([]);
  });

  test('an abort ends the wait', async () => {
    const controller = new AbortController();
    const rig = await makeRig({
      tier: {},
      fake: { faults: { tier: 'writes-nothing' } },
      onPause: () => controller.abort(),
    });
    await expect(rig.engine.persist(newContext(), controller.signal)).rejects.toMatchObject({ code: 'CWM-6003' });
  });
});

describe('damage to a block file, the server restarted', () => {
  const damages: readonly [name: string, damage: (path: string, other: string) => Promise<void>][] = [
    ['random bytes', async (path) => writeFile(path, Buffer.alloc((await readFile(path)).length, 0xff))],
    ['zeros', async (path) => writeFile(path, Buffer.alloc((await readFile(path)).length))],
    [
      'one bit flipped',
      async (path) => {
        const bytes = await readFile(path);
        bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
        await writeFile(path, bytes);
      },
    ],
    ['cut short', async (path) => writeFile(path, (await readFile(path)).subarray(0, 100))],
    ['grown', async (path) => appendFile(path, 'x')],
    ['missing', async (path) => rm(path)],
    [
      'swapped with another',
      async (path, other) => {
        const [a, b] = [await readFile(path), await readFile(other)];
        await writeFile(path, b);
        await writeFile(other, a);
      },
    ],
  ];

  for (const [name, damage] of damages) {
    test(`${name}: the checksum differs; either reuse is partial, or the canary differs, or the server fails`, async () => {
      const rig = await makeRig({ tier: {} });
      const context = await persisted(rig);
      await rig.engine.measure(context, never);
      const frozen = await rig.engine.measure(context, never);
      const hashes = blockNames(context.ids);
      const sums = await rig.engine.checksum(hashes, never);
      await damage(rig.fake.blockPath(hashes[2] ?? ''), rig.fake.blockPath(hashes[3] ?? ''));
      await rig.fake.restart();

      const sumsNow = await rig.engine.checksum(hashes, never);
      expect(sumsNow[2]).not.toBe(sums[2]);
      expect([sumsNow[0], sumsNow[1], sumsNow[4], sumsNow[5]]).toEqual([sums[0], sums[1], sums[4], sums[5]]);
      const thawed = await rig.engine.measure(context, never).catch((error: { code: string }) => error.code);
      if (typeof thawed === 'string') expect(thawed).toBe('CWM-5004');
      else if (thawed.reuse.cachedTokens === 96) expect(thawed.canary).not.toEqual(frozen.canary);
      else expect(thawed.reuse.cachedTokens).toBe(32);

      // Deleting what is known bad is the cure: what comes before it is still reused, the rest computed and written anew.
      const bad = hashes.filter((_, index) => sumsNow[index] !== sums[index]);
      await rig.engine.forget({ hashes: bad, handle: null }, never);
      await rig.fake.restart();
      expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(32);
      expect((await rig.engine.measure(context, never)).canary).toEqual(frozen.canary);
      expect(await rig.engine.checksum(hashes, never)).toEqual(sums);
    });
  }
});
