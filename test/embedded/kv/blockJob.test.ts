import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../src/base/hash.ts';
import { kvBlockHead } from '../../../src/base/kvBlockHead.ts';
import { sha256Of, type BlockSeal } from '../../../src/embedded/kv/files/blockFile.ts';
import { pieceFile } from '../../../src/embedded/kv/files/blockFolder.ts';
import type { BlockJob } from '../../../src/embedded/kv/threads/blockJob.ts';
import { BlockCutter } from '../../../src/embedded/kv/threads/cutBlocks.ts';
import { newProgress, stateStatus, statusAt } from '../../../src/embedded/kv/threads/jobProgress.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { BlockPlacer } from '../../../src/embedded/kv/threads/placeBlocks.ts';
import { stateFrame } from '../../../src/embedded/kv/state/stateFile.ts';
import { sumBlock } from '../../../src/embedded/kv/threads/sumBlock.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';
import { fc } from '../../support/fc.ts';

const clearSeal: BlockSeal = { key: null };

const hashOf = (index: number): string => sha256Hex(`block ${index}`);

/** A state of random rows, and its blocks. */
interface Sample {
  readonly bytes: Buffer;
  readonly runs: BlockJob['runs'];
  readonly blockTokens: number;
  readonly blocks: BlockJob['blocks'];
  readonly stripBytes: number;
  readonly partBytes: number;
}

const samples: fc.Arbitrary<Sample> = fc
  .record({
    rowBytes: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 2, maxLength: 6 }),
    blockTokens: fc.integer({ min: 1, max: 16 }),
    count: fc.integer({ min: 1, max: 40 }),
    rest: fc.nat(30),
    seed: fc.nat(255),
    stripBytes: fc.constantFrom(0, 3000, 20_000, 1 << 20),
    partBytes: fc.constantFrom(1, 200, 1000, 1 << 18),
  })
  .map(({ rowBytes, blockTokens, count, rest, seed, stripBytes, partBytes }) => {
    const rows = rowBytes.map((bytes) => ({ type: 1, rowBytes: bytes }));
    const half = rows.length >> 1;
    const ids = Array.from({ length: count * blockTokens + (rest % blockTokens) }, (_, index) => index);
    const { sizeBytes, pieces, runs } = stateFrame({ keys: rows.slice(half), values: rows.slice(0, half) }, ids);
    const bytes = Buffer.from(Array.from({ length: sizeBytes }, (_, at) => (at * 131 + (at >> 8) * 17 + seed) % 256));
    for (const piece of pieces) bytes.set(piece.bytes, piece.offset);
    return {
      bytes,
      runs,
      blockTokens,
      blocks: Array.from({ length: count }, (_, index) => ({ hash: hashOf(index), index })),
      stripBytes,
      partBytes,
    };
  });

describe.each<[string, BlockSeal]>([
  ['in clear', clearSeal],
  ['encrypted', { key: Buffer.alloc(32, 9) }],
])('blocks of a state, %s', (_, seal) => {
  const threads = new KvThreads(3);
  let folder: Scratch;
  beforeEach(() => (folder = scratch()));
  afterEach(() => folder[Symbol.dispose]());
  afterAll(() => threads.close());

  const withState = async <T>(bytes: Buffer, work: (file: number) => Promise<T>): Promise<T> => {
    const path = join(folder.path, 'state');
    writeFileSync(path, bytes);
    const file = openSync(path, 'r+');
    try {
      return await work(file);
    } finally {
      closeSync(file);
    }
  };
  const jobOf = (sample: Sample, task: BlockJob['task'], stateFile: number): BlockJob => ({
    task,
    folder: join(folder.path, 'blocks'),
    seal,
    blocks: sample.blocks,
    blockTokens: sample.blockTokens,
    runs: sample.runs,
    stripBytes: sample.stripBytes,
    partBytes: sample.partBytes,
    stateFile,
    temporary: join(folder.path, 'tmp', 'block.tmp'),
  });
  const emptied = ({ bytes, runs, blocks, blockTokens }: Sample): Buffer => {
    const empty = Buffer.from(bytes);
    for (const { offset, rowBytes } of runs) empty.fill(0, offset, offset + rowBytes * blocks.length * blockTokens);
    return empty;
  };
  const cut = (sample: Sample) => withState(sample.bytes, (file) => threads.run(jobOf(sample, 'cut', file)));
  const fresh = (): void => rmSync(join(folder.path, 'blocks'), { recursive: true, force: true });

  it('that were cut out of it make it again, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(samples, async (sample) => {
        fresh();
        expect(await cut(sample)).toEqual(sample.blocks.map(() => 'done'));
        await withState(emptied(sample), async (file) => {
          expect(await threads.run(jobOf(sample, 'place', file))).toEqual(sample.blocks.map(() => 'done'));
        });
        expect(readFileSync(join(folder.path, 'state')).equals(sample.bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('of a prefix, and cut out of a longer state with gaps, are the same files', async () => {
    await fc.assert(
      fc.asyncProperty(samples, fc.nat(60), async (sample, stride) => {
        fresh();
        const some = sample.blocks.filter(({ index }) => index % (1 + (stride % 4)) === 0);
        await cut({ ...sample, blocks: some });
        await cut({ ...sample, blocks: sample.blocks.filter((block) => !some.includes(block)) });
        const prefix = { ...sample, blocks: sample.blocks.slice(0, 1 + (stride % sample.blocks.length)) };
        await withState(emptied(prefix), (file) => threads.run(jobOf(prefix, 'place', file)));
        expect(readFileSync(join(folder.path, 'state')).equals(sample.bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('are cut and placed alike, however many of them a thread takes at once', async () => {
    await fc.assert(
      fc.asyncProperty(samples, fc.integer({ min: 1, max: 8 }), async (sample, atOnce) => {
        fresh();
        const all = sample.blocks.length;
        // In this thread: the outcome must not depend on how many share the work.
        const [cutter, placer, progress] = [new BlockCutter(), new BlockPlacer(), newProgress()];
        progress[statusAt] = stateStatus.good;
        const run = (task: BlockJob['task'], file: number): void => {
          const job = jobOf(sample, task, file);
          for (let at = 0; at < all; at += atOnce) {
            const to = Math.min(at + atOnce, all);
            const outcomes = task === 'cut' ? cutter.run(job, at, to, progress, 0) : placer.run(job, at, to);
            expect(outcomes).toEqual(sample.blocks.slice(at, to).map(() => 'done'));
          }
        };
        await withState(sample.bytes, async (file) => run('cut', file));
        // Once more: a block that has its SHA-256 is left alone.
        const sumAll = (file: number) => sample.blocks.map(({ hash }) => sumBlock(jobOf(sample, 'sum', file), hash));
        await withState(sample.bytes, async (file) => {
          expect([...sumAll(file), ...sumAll(file)].every((outcome) => outcome === 'done')).toBe(true);
        });
        expect(sumBlock(jobOf(sample, 'sum', 0), hashOf(-1))).toBe('missing');
        await withState(emptied(sample), async (file) => run('place', file));
        expect(readFileSync(join(folder.path, 'state')).equals(sample.bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('EC-004 are good up to the first that is damaged at any byte, cut, evicted, or another one under its name', async () => {
    const damages = fc.constantFrom('flip', 'cut', 'evict', 'swap', 'zero');
    await fc.assert(
      fc.asyncProperty(samples, damages, fc.nat(), fc.nat(), async (sample, damage, which, where) => {
        fresh();
        await cut(sample);
        const bad = which % sample.blocks.length;
        const path = pieceFile(join(folder.path, 'blocks'), hashOf(bad), 'rows');
        const bytes = readFileSync(path);
        // A load does not need the SHA-256 in the head.
        const place = where % (bytes.length - 32);
        const at = place < kvBlockHead.sha256At ? place : place + 32;
        if (damage === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << (where & 7));
        if (damage === 'zero') bytes.fill(0);
        if (damage === 'evict') rmSync(path);
        else writeFileSync(path, damage === 'cut' ? bytes.subarray(0, at) : bytes);
        if (damage === 'swap') {
          const other = pieceFile(join(folder.path, 'blocks'), hashOf((bad + 1) % sample.blocks.length), 'rows');
          writeFileSync(path, readFileSync(other));
          if (sample.blocks.length === 1) return;
        }
        const outcomes = await withState(emptied(sample), (file) => threads.run(jobOf(sample, 'place', file)));
        expect(outcomes.findIndex((outcome) => outcome !== 'done')).toBe(bad);
        expect(outcomes[bad]).toBe(damage === 'evict' ? 'missing' : 'damaged');
      }),
      { numRuns: 60 },
    );
  });

  it('EC-003 have their name only once they are whole: what a killed engine leaves is no block', async () => {
    const [sample] = fc.sample(samples, { numRuns: 1, seed: 4 });
    if (!sample) throw new Error('No sample.');
    await cut(sample);
    const path = pieceFile(join(folder.path, 'blocks'), hashOf(0), 'rows');
    const whole = readFileSync(path);
    for (const length of [0, 1, 115, 116, whole.length - 1]) {
      // A kill in the middle of a write leaves the passing file; a power cut may leave a short file under the name.
      rmSync(path);
      writeFileSync(join(folder.path, 'tmp', 'block.tmp0'), whole.subarray(0, length));
      const killed = await withState(emptied(sample), (file) => threads.run(jobOf(sample, 'place', file)));
      expect(killed[0]).toBe('missing');
      writeFileSync(path, whole.subarray(0, length));
      const cutShort = await withState(emptied(sample), (file) => threads.run(jobOf(sample, 'place', file)));
      expect(cutShort[0]).toBe('damaged');
      expect(await cut(sample)).toEqual(sample.blocks.map(() => 'done'));
      expect((await withState(emptied(sample), (file) => threads.run(jobOf(sample, 'place', file))))[0]).toBe('done');
    }
  });

  it('that cannot be written say why, and the others are written', async () => {
    const [sample] = fc.sample(samples, { numRuns: 1, seed: 5 });
    if (!sample) throw new Error('No sample.');
    const path = pieceFile(join(folder.path, 'blocks'), hashOf(0), 'rows');
    mkdirSync(join(path, 'in the way'), { recursive: true });
    const [first, ...others] = await cut(sample);
    expect(first).toEqual({ failure: expect.stringMatching(/EISDIR|ENOTEMPTY|EPERM|EEXIST/) as string });
    expect(others.every((outcome) => outcome === 'done')).toBe(true);
  });

  it('are cut out of a state while llama.cpp writes it, and have their names only when it is found good', async () => {
    await fc.assert(
      fc.asyncProperty(samples, fc.boolean(), fc.nat(), async (sample, isGood, where) => {
        fresh();
        const written = where % (sample.bytes.length + 1);
        mkdirSync(join(folder.path, 'tmp'), { recursive: true });
        const judged = Promise.withResolvers<boolean>();
        const outcomes = await withState(sample.bytes.subarray(0, written), async (file) => {
          const running = threads.run(jobOf(sample, 'cut', file), judged.promise);
          writeSync(file, sample.bytes, written, sample.bytes.length - written, written);
          expect(existsSync(join(folder.path, 'blocks'))).toBe(false);
          judged.resolve(isGood);
          return running;
        });
        expect(outcomes).toEqual(sample.blocks.map(() => (isGood ? 'done' : 'not-reached')));
        expect(readdirSync(join(folder.path, 'tmp'))).toEqual([]);
        expect(existsSync(join(folder.path, 'blocks'))).toBe(isGood);
        if (!isGood) return;
        await withState(emptied(sample), (file) => threads.run(jobOf(sample, 'place', file)));
        expect(readFileSync(join(folder.path, 'state')).equals(sample.bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('get their SHA-256 afterwards, unless they are damaged, and a stop leaves the rest', async () => {
    const [sample] = fc.sample(samples, { numRuns: 1, seed: 7 });
    if (!sample) throw new Error('No sample.');
    await cut(sample);
    const fileOf = (index: number): string => pieceFile(join(folder.path, 'blocks'), hashOf(index), 'rows');
    const before = sample.blocks.map(({ index }) => readFileSync(fileOf(index)));
    expect(before.every((file) => sha256Of(file) === null)).toBe(true);
    const bad = Buffer.from(before[0] ?? []);
    bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1;
    writeFileSync(fileOf(0), bad);
    await withState(sample.bytes, async (file) => {
      const stopped = threads.begin(jobOf(sample, 'sum', file));
      stopped.stop();
      expect(await stopped.outcomes).toEqual(sample.blocks.map(() => 'not-reached'));
      const outcomes = await threads.run(jobOf(sample, 'sum', file));
      expect(outcomes).toEqual(sample.blocks.map(({ index }) => (index === 0 ? 'damaged' : 'done')));
    });
    expect(readFileSync(fileOf(0)).equals(bad)).toBe(true);
    for (const [index, file] of before.entries()) {
      if (index === 0) continue;
      const body = file.subarray(kvBlockHead.bodyAt);
      const sha256 = createHash('sha256').update(hashOf(index), 'hex').update(body).digest();
      sha256.copy(file, kvBlockHead.sha256At);
      expect(readFileSync(fileOf(index)).equals(file)).toBe(true);
    }
  });

  it('cannot be cut out of a state that ends too early', async () => {
    const [sample] = fc.sample(samples, { numRuns: 1, seed: 6 });
    if (!sample) throw new Error('No sample.');
    await withState(sample.bytes, async (file) => {
      truncateSync(join(folder.path, 'state'), sample.bytes.length >> 1);
      await expect(threads.run(jobOf(sample, 'cut', file))).rejects.toThrow("llama.cpp's state ends before its rows");
      writeSync(file, sample.bytes, 0, sample.bytes.length, 0);
      expect(await threads.run(jobOf(sample, 'cut', file))).toEqual(sample.blocks.map(() => 'done'));
    });
  });
});
