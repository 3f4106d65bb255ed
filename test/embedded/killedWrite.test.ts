import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/base/hash.ts';
import type { BlockJob } from '../../src/embedded/kv/threads/blockJob.ts';
import { KvThreads } from '../../src/embedded/kv/threads/kvThreads.ts';
import { stateFrame } from '../../src/embedded/kv/state/stateFile.ts';
import { openRunFolder } from '../../src/embedded/worker/runFolder.ts';
import { blockNames, cachedBy, EngineProcess, promptIds, saidBy } from './support/engineProcess.ts';
import { scratch, smallModel, type Scratch } from './support/smallModel.ts';
import { isNightly } from '../support/nightly.ts';
import { testProgram } from '../support/testProgram.ts';

const writer = testProgram('blockWriter');

describe('EC-003 kill -9', () => {
  let folder: Scratch;
  beforeEach(() => (folder = scratch()));
  afterEach(() => folder[Symbol.dispose]());

  describe.each([
    ['part by part', 6000],
    ['whole', 1 << 18],
  ])('at each step of writing blocks %s', (_, partBytes) => {
    const threads = new KvThreads(1);
    afterAll(() => threads.close());
    const blockTokens = 8;
    const rows = { type: 1, rowBytes: 700 };
    const ids = Array.from({ length: 3 * blockTokens }, (_, index) => index);
    const { sizeBytes, pieces, runs } = stateFrame({ keys: [rows, rows], values: [rows, rows] }, ids);
    const state = Buffer.from(Array.from({ length: sizeBytes }, (_, at) => (at * 131 + (at >> 8) * 17) % 256));
    for (const piece of pieces) state.set(piece.bytes, piece.offset);
    const blocks = [0, 1, 2].map((index) => ({ hash: sha256Hex(`block ${index}`), index }));

    const jobIn = (kvDir: string): Omit<BlockJob, 'stateFile' | 'temporary'> => ({
      task: 'cut',
      folder: join(kvDir, 'blocks'),
      seal: { key: null },
      blocks,
      blockTokens,
      runs,
      stripBytes: 1 << 20,
      partBytes,
    });

    /** The steps that the writer took, and how it ended. */
    const write = (kvDir: string, fatalStep: string): { steps: string[]; signal: string | null } => {
      mkdirSync(kvDir, { recursive: true });
      const path = join(folder.path, 'state');
      writeFileSync(path, state);
      const job = JSON.stringify({ ...jobIn(kvDir), runFolder: kvDir });
      const { stdout, stderr, signal, status } = spawnSync(process.execPath, [writer, path, job, fatalStep], {
        encoding: 'utf8',
      });
      if (status !== 0 && signal === null) throw new Error(stderr);
      return { steps: stdout.split('\n').filter((line) => line !== ''), signal };
    };

    /** What the engine makes of the blocks that are there. */
    const place = async (kvDir: string) => {
      const path = join(folder.path, 'placed');
      const frame = Buffer.alloc(sizeBytes);
      for (const piece of pieces) frame.set(piece.bytes, piece.offset);
      writeFileSync(path, frame);
      const stateFile = openSync(path, 'r+');
      try {
        const temporary = join(kvDir, 'unused');
        return await threads.run({ ...jobIn(kvDir), task: 'place', stateFile, temporary });
      } finally {
        closeSync(stateFile);
      }
    };

    it('leaves whole blocks and misses, never half a block, and the next engine clears up', async () => {
      const { steps } = write(join(folder.path, 'whole'), '');
      expect(steps.filter((step) => step.endsWith('after a file has its name'))).toHaveLength(blocks.length);
      expect(steps.length).toBeGreaterThan(20);
      for (const step of steps) {
        const kvDir = join(folder.path, `killed ${step}`);
        expect(write(kvDir, step).signal).toBe('SIGKILL');
        const named = steps.slice(0, steps.indexOf(step) + 1).filter((one) => one.endsWith('has its name')).length;
        const found = await place(kvDir);
        expect(found, step).toEqual(
          blocks.map((_, at) => (at < named ? 'done' : at === named ? 'missing' : 'not-reached')),
        );
        rmSync(openRunFolder(kvDir), { recursive: true });
        expect(readdirSync(kvDir).filter((name) => name !== 'blocks')).toEqual([]);
        expect(write(kvDir, '').signal).toBeNull();
        expect(await place(kvDir)).toEqual(blocks.map(() => 'done'));
        expect(readFileSync(join(folder.path, 'placed')).equals(state)).toBe(true);
      }
    });
  });

  it.each(isNightly ? [1, 40] : [40])(
    'of an engine that has written %i blocks of a prompt costs the others, and no answer',
    async (count) => {
      const model = smallModel(folder.path);
      const ids = promptIds(2000, 11);
      const whole = await EngineProcess.start(join(folder.path, 'whole'), '--model', model);
      const expected = saidBy(await whole.complete(ids));
      await whole.kill();
      const kvDir = join(folder.path, 'killed');
      const engine = await EngineProcess.start(kvDir, '--model', model);
      const answer = engine.complete(ids).catch(() => null);
      const blockDir = await engine.blockDir();
      const written = (): number =>
        readdirSync(blockDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.kv')).length;
      await expect.poll(written, { interval: 0, timeout: 60_000 }).toBeGreaterThanOrEqual(count);
      await engine.kill();
      await answer;
      const again = await EngineProcess.start(kvDir, '--model', model);
      const present = await Promise.all(
        blockNames(ids)
          .map(async (hash) => readdirSync(join(blockDir, hash.slice(0, 2))).includes(`${hash}.kv`))
          .map((found) => found.catch(() => false)),
      );
      const leading = present.indexOf(false) < 0 ? Math.floor((ids.length - 1) / 32) : present.indexOf(false);
      const answered = await again.complete(ids);
      expect(cachedBy(answered)).toBe(leading * 32);
      expect(saidBy(answered)).toEqual(expected);
      expect(await again.metric('cwm:kv_blocks_damaged_total')).toBe(0);
      await again.kill();
    },
  );
});
