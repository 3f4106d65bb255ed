import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlockOutcome } from '../../../src/embedded/kv/threads/blockJob.ts';
import type { DiskCache } from '../../../src/embedded/kv/diskCache.ts';
import type { TokenRange } from '../../../src/embedded/kv/tier/storeState.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { PassingState } from '../../../src/embedded/kv/state/passingState.ts';
import { PrefixCache, type Prompt } from '../../../src/embedded/kv/prefixCache.ts';
import { OperationFailedError, WorkerLostError } from '../../../src/embedded/worker/llamaProcess.ts';
import { fc } from '../../support/fc.ts';
import { FakeLlama } from '../support/fakeLlama.ts';
import { openSampleDisk } from '../support/openSampleDisk.ts';
import { partState, rowState } from '../support/rowState.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const blockTokens = 4;
/** Of 32 bytes a token. */
const blockBytes = 128;
/** Seven blocks, a tail of two tokens, and the last one. */
const ids = Array.from({ length: 31 }, (_, index) => 500 + index);
const salt = 'salt';

describe('a state that passes in parts of three blocks', () => {
  const threads = new KvThreads(1);
  let folder: Scratch;
  let said: string[];
  let disk: DiskCache;
  let blockDir: string;
  let cache: PrefixCache;
  let llama: FakeLlama;
  beforeEach(() => {
    folder = scratch();
    said = [];
    restart();
  });
  afterEach(() => {
    vi.restoreAllMocks();
    folder[Symbol.dispose]();
  });
  afterAll(() => threads.close());

  /** Another process, which has computed nothing yet. */
  function restart(takesParts = true): void {
    llama = new FakeLlama(true, takesParts);
    // What an earlier test still says is not said here.
    const heard = said;
    const log = (message: string): void => void heard.push(message);
    const sizes = { blockTokens, partStateBytes: 3 * blockBytes };
    const opened = openSampleDisk({ folder: folder.path, llama, ...sizes, threads, log });
    disk = opened.cache;
    blockDir = opened.blocks.folder;
    cache = new PrefixCache({ disk, blockTokens, loadTimeoutMs: 1000, log });
  }
  const promptOf = (all: readonly number[] = ids, isStored = false): Prompt => {
    const { blocks: hashes, tail } = disk.names(all, salt);
    return { ids: all, salt, hashes, tail: tail === null ? null : { hash: tail, isStored } };
  };
  async function asked(prompt: Prompt): Promise<number> {
    const { tokens } = await cache.reuse(llama, prompt);
    await cache.evaluate(llama, prompt.ids.slice(tokens), null);
    await cache.store(llama, prompt, prompt.hashes.length);
    return tokens;
  }
  const frozen = (all: readonly number[] = ids): Promise<number> => asked(promptOf(all, true));
  const fileOf = (hash: string): string => join(blockDir, hash.slice(0, 2), `${hash}.kv`);
  const damage = (block: number): void => {
    const path = fileOf(promptOf().hashes[block] ?? '');
    const bytes = readFileSync(path);
    bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.length - 1);
    writeFileSync(path, bytes);
  };
  const files = (): string[] =>
    readdirSync(blockDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.kv'));

  it('is taken part by part, with the tail in the last one, and leaves no file', async () => {
    await frozen();
    restart();
    expect(await cache.reuse(llama, promptOf())).toEqual({ tokens: 30, source: 'disk' });
    expect(llama.calls).toEqual(['append', 'append', 'append', 'adopt']);
    expect(llama.ids).toEqual(ids.slice(0, 30));
    await disk.release();
    expect(readdirSync(join(folder.path, 'run'))).toEqual([]);
  });

  it('is taken whole where it is no larger than a part, and by a llama.cpp that takes no parts', async () => {
    await frozen();
    restart(false);
    expect(await cache.reuse(llama, promptOf())).toEqual({ tokens: 30, source: 'disk' });
    restart();
    expect(await cache.reuse(llama, promptOf(ids.slice(0, 13)))).toEqual({ tokens: 12, source: 'disk' });
    expect(llama.calls).toEqual(['load']);
  });

  it('ends in front of a damaged block, wherever it is: damage is a miss', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 }), async (first, second) => {
        restart();
        await frozen();
        damage(first);
        if (second > first) damage(second);
        restart();
        expect((await cache.reuse(llama, promptOf())).tokens).toBe(first * blockTokens);
        expect(llama.ids).toEqual(ids.slice(0, first * blockTokens));
        expect(files()).not.toContain(fileOf(promptOf().hashes[first] ?? ''));
        expect(disk.counters.damaged).toBeGreaterThan(0);
        // What was missed is computed and stored again: the first damage, and then the second.
        for (const _ of [first, second]) {
          restart();
          await frozen();
        }
        restart();
        expect((await cache.reuse(llama, promptOf())).tokens).toBe(30);
      }),
      { numRuns: 15 },
    );
  });

  it('leaves what llama.cpp holds alone where the first block is damaged', async () => {
    await frozen();
    restart();
    const mine = { ...promptOf(), salt: 'mine', hashes: disk.hashes(ids, 'mine'), tail: null };
    await asked(mine);
    damage(0);
    expect(await cache.reuse(llama, promptOf())).toEqual({ tokens: 0, source: 'device' });
    expect(llama.calls).not.toContain('append');
  });

  it('that llama.cpp refuses costs the blocks of that part, and the process', async () => {
    await frozen();
    restart();
    let parts = 0;
    const append = llama.call.bind(llama);
    vi.spyOn(llama, 'call').mockImplementation(async (name, input) => {
      if (name === 'append' && ++parts === 2) throw new OperationFailedError('the part is refused');
      return append(name, input);
    });
    const lost = cache.reuse(llama, promptOf());
    await expect(lost).rejects.toThrow(WorkerLostError);
    await expect(lost).rejects.toThrow('the part is refused');
    expect(llama.isAlive).toBe(false);
    restart();
    expect(disk.missing(promptOf().hashes)).toEqual([3, 4, 5]);
    expect((await cache.reuse(llama, promptOf())).tokens).toBe(12);
  });

  it('keeps the room in which its next part is put together until that is done, when llama.cpp refuses one', async () => {
    await frozen();
    restart();
    const run = vi.spyOn(KvThreads.prototype, 'run');
    const isWorking = (): boolean => run.mock.settledResults.some(({ type }) => type === 'incomplete');
    const whileWorking: boolean[] = [];
    vi.spyOn(PassingState.prototype, 'release').mockImplementation(async () => void whileWorking.push(isWorking()));
    llama.instead.append = () => {
      throw new OperationFailedError('the part is refused');
    };
    await expect(cache.reuse(llama, promptOf())).rejects.toThrow('the part is refused');
    expect(whileWorking).toEqual([false, false, false]);
  });

  it('is never put together where llama.cpp still takes a part, even when files vanish twice', async () => {
    await frozen();
    restart();
    const outcomes: BlockOutcome[][] = [
      ['done', 'done', 'done'],
      ['done', 'done', 'missing'],
      // What is behind the vanished one is not used.
      ['done'],
      ['done', 'missing'],
      ['done'],
    ];
    vi.spyOn(KvThreads.prototype, 'run').mockImplementation(async () => outcomes.shift() ?? []);
    const placed: string[] = [];
    vi.spyOn(PassingState.prototype, 'place').mockImplementation(async function (this: PassingState) {
      const state = this.onDisk();
      placed.push(state.path);
      return state;
    });
    vi.spyOn(llama, 'call').mockImplementation(async (name, input) => {
      if (name === 'adopt') return 16;
      if (!('path' in input)) throw new Error(`There is no ${name}.`);
      const before = placed.length;
      await setImmediate();
      expect(placed.slice(before)).not.toContain(input.path);
      return undefined;
    });
    expect((await cache.reuse(llama, promptOf())).tokens).toBe(16);
    expect(placed).toHaveLength(6);
  });

  it('is not believed when other tokens came than were given', async () => {
    await frozen();
    restart();
    llama.instead.adopt = () => 29;
    await expect(cache.reuse(llama, promptOf())).rejects.toThrow('llama.cpp loaded 29 of 30 tokens.');
    expect(llama.isAlive).toBe(false);
  });

  it('ends the process where its tokens cannot be told, since nobody knows what it holds then', async () => {
    await frozen();
    restart();
    let placed = 0;
    vi.spyOn(PassingState.prototype, 'place').mockImplementation(async function (this: PassingState) {
      if (++placed === 4) throw new Error('ENOSPC');
      return this.onDisk();
    });
    const lost = cache.reuse(llama, promptOf());
    await expect(lost).rejects.toThrow(WorkerLostError);
    await expect(lost).rejects.toThrow('ENOSPC');
    expect(llama.isAlive).toBe(false);
    expect(disk.missing(promptOf().hashes)).toEqual([]);
  });

  it('tells its caller that the process was lost in a part', async () => {
    await frozen();
    restart();
    llama.instead.append = () => {
      throw new WorkerLostError('append', 'The llama.cpp process ended with SIGKILL.');
    };
    await expect(cache.reuse(llama, promptOf())).rejects.toThrow('SIGKILL');
  });

  it.each([
    [1, 0],
    [2, 12],
    [3, 24],
  ])('ends in front of part %i when there is no room for it, as on a full disk, and says so', async (part, tokens) => {
    await frozen();
    restart();
    let placed = 0;
    const place = vi.spyOn(PassingState.prototype, 'place').mockImplementation(async function (this: PassingState) {
      if (++placed === part) throw new Error('ENOSPC');
      return this.onDisk();
    });
    expect((await cache.reuse(llama, promptOf())).tokens).toBe(tokens);
    expect(said).toContain('Block files could not be used: Error: ENOSPC');
    place.mockRestore();
    expect(llama.ids).toEqual(ids.slice(0, tokens));
  });

  it('hands over the ids only when no part is placed any more, since they go into the file of one', async () => {
    const longer = [...ids, ...ids.map((id) => id + 100)];
    await frozen(longer);
    restart();
    const order: string[] = [];
    let placed = 0;
    const place = vi.spyOn(PassingState.prototype, 'place').mockImplementation(async function (this: PassingState) {
      const call = ++placed;
      if (call === 3) throw new Error('ENOSPC');
      if (call === 4) for (let turn = 0; turn < 200; turn++) await setImmediate();
      order.push(call > 4 ? 'ids' : `part ${call}`);
      return this.onDisk();
    });
    expect((await cache.reuse(llama, promptOf(longer))).tokens).toBe(24);
    place.mockRestore();
    expect(order).toEqual(['part 1', 'part 2', 'part 4', 'ids']);
  });

  it('is saved from the first missing block on, and has the rows of a whole one', async () => {
    await asked({ ...promptOf(ids.slice(0, 21)), tail: null });
    expect(llama.calls).toEqual(['truncate', 'evaluate', 'savePart', 'savePart']);
    const longer = [...ids, ...ids.map((id) => id + 100)];
    await asked({ ...promptOf(longer), tail: null });
    expect(llama.calls.slice(4)).toEqual(['truncate', 'evaluate', ...Array.from({ length: 4 }, () => 'savePart')]);
    const { hashes } = promptOf(longer);
    expect(disk.missing(hashes)).toEqual([]);
    const assembled = await disk.assemble({ ids: longer, hashes, tail: null }, hashes.length);
    expect(readFileSync(assembled?.state.path ?? '')).toEqual(rowState(longer.slice(0, hashes.length * blockTokens)));
    await disk.release();
  });

  it('is not saved at all for the tail alone, but for the tokens of the tail', async () => {
    await asked({ ...promptOf(), tail: null });
    const before = disk.counters.written;
    llama.calls.length = 0;
    await frozen();
    expect(llama.calls.filter((name) => name.startsWith('save'))).toEqual(['savePart']);
    expect(disk.counters.written).toBe(before + 1);
    restart();
    expect((await cache.reuse(llama, promptOf())).tokens).toBe(30);
  });

  it('that was saved for another prompt is stored nowhere', async () => {
    await asked({ ...promptOf(ids.slice(0, 21)), tail: null });
    const others = ids.map((id) => id + 1);
    const named = { ids, hashes: promptOf().hashes, tail: null };
    const save = async (path: string, range: TokenRange | null): Promise<void> =>
      writeFileSync(path, partState(others.slice(range?.from, range?.to), range?.from ?? 0));
    await expect(disk.store(named, 31, save, true)).rejects.toThrow("llama.cpp's state is not that of the prompt.");
    expect(disk.missing(named.hashes)).toEqual([5, 6]);
  });

  it('is stored nowhere where llama.cpp saved fewer tokens than it was asked for', async () => {
    const { hashes } = promptOf();
    const save = async (path: string, range: TokenRange | null): Promise<void> =>
      writeFileSync(path, partState(ids.slice(range?.from, (range?.to ?? 0) - 1), range?.from ?? 0));
    await expect(disk.store({ ids, hashes, tail: null }, 31, save, true)).rejects.toThrow('is not that of the prompt');
    expect(disk.missing(hashes)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('is saved where files are missing and nowhere else, whichever they are, and is then the whole', async () => {
    const some = fc.uniqueArray(fc.integer({ min: 0, max: 6 }));
    await fc.assert(
      fc.asyncProperty(some, fc.boolean(), async (lost, isTailLost) => {
        await frozen();
        const { hashes, tail } = promptOf();
        for (const block of lost) rmSync(fileOf(hashes[block] ?? ''));
        if (isTailLost) rmSync(fileOf(tail?.hash ?? ''));
        const ranges: TokenRange[] = [];
        const store = async (path: string, range: TokenRange | null): Promise<void> => {
          if (range) ranges.push(range);
          await llama.call('savePart', { path, ...(range ?? { from: 0, to: 0 }) });
        };
        const named = { ids, hashes, tail: isTailLost ? (tail?.hash ?? null) : null };
        expect(await disk.store(named, ids.length, store, true)).toBe(isTailLost);
        const missing = [...lost.map((block) => block * blockTokens), ...(isTailLost ? [28] : [])];
        const needed = new Set(missing.flatMap((from) => [from, Math.min(from + blockTokens, 30) - 1]));
        for (const { from, to } of ranges) {
          expect(needed).toContain(from);
          expect(needed).toContain(to - 1);
          expect(to - from).toBeLessThan(4 * blockTokens);
        }
        const saved = ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at));
        expect(saved).toEqual([...new Set(saved)].toSorted((a, b) => a - b));
        for (const position of needed) expect(saved).toContain(position);
        restart();
        expect((await cache.reuse(llama, promptOf())).tokens).toBe(30);
      }),
      { numRuns: 40 },
    );
  });

  it('is never saved into the file of a part that is still cut, and no room is freed before the last one is', async () => {
    const order: string[] = [];
    const run = threads.run.bind(threads);
    let cuts = 0;
    vi.spyOn(KvThreads.prototype, 'run').mockImplementation(async (job, isGood) => {
      const cut = ++cuts;
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      const outcomes = await run(job, isGood);
      order.push(`cut ${cut}`);
      return outcomes;
    });
    vi.spyOn(PassingState.prototype, 'release').mockImplementation(async () => void order.push('free'));
    const longer = [...ids, ...ids.map((id) => id + 100)];
    const savePart = llama.call.bind(llama);
    let saves = 0;
    vi.spyOn(llama, 'call').mockImplementation(async (name, input) => {
      if (name === 'savePart') order.push(`save ${++saves}`);
      return savePart(name, input);
    });
    await asked({ ...promptOf(longer), tail: null });
    const steps = ['save 1', 'save 2', 'save 3', 'cut 1', 'save 4', 'cut 2', 'save 5', 'cut 3', 'cut 4', 'cut 5'];
    expect(order).toEqual([...steps, 'free', 'free', 'free']);
    expect(disk.missing(promptOf(longer).hashes)).toEqual([]);
  });

  it('keeps the parts before one that llama.cpp cannot save, and frees no room that is still cut', async () => {
    const savePart = llama.call.bind(llama);
    let saves = 0;
    vi.spyOn(llama, 'call').mockImplementation(async (name, input) => {
      if (name === 'savePart' && ++saves === 2) throw new OperationFailedError('no room for the part');
      return savePart(name, input);
    });
    await asked({ ...promptOf(), tail: null });
    expect(said).toEqual([expect.stringContaining('no room for the part')]);
    expect(disk.missing(promptOf().hashes)).toEqual([3, 4, 5, 6]);
    await asked({ ...promptOf([...ids, 1]), tail: null });
    expect(disk.missing(promptOf().hashes)).toEqual([]);
    restart();
    expect((await cache.reuse(llama, promptOf())).tokens).toBe(28);
  });
});
