import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { promptHashes } from '../../../src/base/kvBlockHash.ts';
import { headBytes } from '../../../src/embedded/kv/files/blockFile.ts';
import type { DiskCache } from '../../../src/embedded/kv/diskCache.ts';
import { hashProfile } from '../../../src/embedded/kv/files/kvNamespace.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { PrefixCache, type Prompt } from '../../../src/embedded/kv/prefixCache.ts';
import { OperationFailedError, WorkerLostError } from '../../../src/embedded/worker/llamaProcess.ts';
import { fc } from '../../support/fc.ts';
import { FakeLlama } from '../support/fakeLlama.ts';
import { openSampleDisk } from '../support/openSampleDisk.ts';
import { rowState } from '../support/rowState.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const blockTokens = 4;
/** Two blocks, a tail of two tokens, and the last one. */
const ids = Array.from({ length: 11 }, (_, index) => 500 + index);
const salt = 'salt';
const key = Buffer.alloc(32, 7);

describe.each([
  ['in clear', null],
  ['encrypted', key],
])('the tail of a context, %s', (_, kvKey) => {
  const threads = new KvThreads(1);
  let folder: Scratch;
  let disk: DiskCache;
  let blockDir: string;
  let cache: PrefixCache;
  let llama: FakeLlama;
  beforeEach(() => {
    folder = scratch();
    llama = new FakeLlama();
    const opened = openSampleDisk({ folder: folder.path, llama, blockTokens, threads, kvKey });
    disk = opened.cache;
    blockDir = opened.blocks.folder;
    restart();
  });
  afterEach(() => folder[Symbol.dispose]());
  afterAll(() => threads.close());

  const promptOf = (all: readonly number[], isStored: boolean, under = salt): Prompt => {
    const { blocks: hashes, tail } = disk.names(all, under);
    return { ids: all, salt: under, hashes, tail: tail === null ? null : { hash: tail, isStored } };
  };
  /** Answers a request over a whole context. @returns the tokens that were reused. */
  async function asked(prompt: Prompt): Promise<number> {
    const { tokens } = await cache.reuse(llama, prompt);
    await cache.evaluate(llama, prompt.ids.slice(tokens), null);
    await cache.store(llama, prompt, prompt.hashes.length);
    return tokens;
  }
  const frozen = (all: readonly number[] = ids, under = salt): Promise<number> => asked(promptOf(all, true, under));
  const thawed = (all: readonly number[] = ids, under = salt): Promise<number> => asked(promptOf(all, false, under));
  /** Another process, which has computed nothing yet. */
  function restart(): void {
    llama = new FakeLlama();
    cache = new PrefixCache({ disk, blockTokens, loadTimeoutMs: 1000, log: () => undefined });
  }
  const files = (): string[] =>
    readdirSync(blockDir, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.kv'))
      .map((name) => join(blockDir, name))
      .toSorted();
  const tailFile = (all = ids): string => {
    const name = disk.names(all, salt).tail ?? '';
    return join(blockDir, name.slice(0, 2), `${name}.kv`);
  };

  it('is stored by a freeze, and a thaw in a new process computes the last token alone', async () => {
    expect(await frozen()).toBe(0);
    expect(files()).toContain(tailFile());
    restart();
    expect(await thawed()).toBe(ids.length - 1);
    expect(llama.calls).toEqual(['load', 'evaluate']);
    expect(llama.ids).toEqual(ids);
  });

  it('brings the very rows back that were stored', async () => {
    await frozen();
    const { blocks: hashes, tail } = disk.names(ids, salt);
    const assembled = await disk.assemble({ ids, hashes, tail }, 2);
    expect(assembled).toMatchObject({ blocks: 2, tokens: 10 });
    expect(readFileSync(assembled?.state.path ?? '').equals(rowState(ids.slice(0, 10)))).toBe(true);
    await disk.release();
  });

  it('is reused in memory by the canary, and stored once: a second freeze of the same context saves and writes nothing', async () => {
    await frozen();
    // The SHA-256 of a block comes later.
    const bodies = () => files().map((path) => readFileSync(path).subarray(headBytes));
    const before = bodies();
    llama.calls.length = 0;
    expect(await thawed()).toBe(ids.length - 1);
    expect(await frozen()).toBe(ids.length - 1);
    restart();
    expect(await frozen()).toBe(ids.length - 1);
    expect(llama.calls).not.toContain('save');
    expect(bodies()).toEqual(before);
  });

  it('is written by no request but a freeze, and read by no turn', async () => {
    await asked({ ...promptOf(ids, false), tail: null });
    expect(files()).not.toContain(tailFile());
    await thawed();
    expect(files()).not.toContain(tailFile());
    await frozen();
    restart();
    expect(await asked({ ...promptOf(ids, false), tail: null })).toBe(8);
  });

  it('does not stand in for what a turn computed: with a file there, the file is the measure', async () => {
    await frozen();
    restart();
    await asked({ ...promptOf(ids, false), tail: null });
    llama.calls.length = 0;
    expect(await thawed()).toBe(ids.length - 1);
    expect(llama.calls).toEqual(['load', 'evaluate']);
  });

  it('is a miss wherever a byte of it is flipped and wherever it is cut: the blocks are reused, the file goes, the next freeze writes it', async () => {
    await frozen();
    const path = tailFile();
    const whole = readFileSync(path);
    // The SHA-256 in the head is not what a load checks; a window's record has it.
    const unchecked = (at: number): boolean => at >= 84 && at < 116;
    const damaged = [
      ...Array.from(whole.keys())
        .filter((at) => !unchecked(at))
        .map((at) => Buffer.from(whole).fill((whole[at] ?? 0) ^ 4, at, at + 1)),
      ...Array.from(whole.keys(), (length) => whole.subarray(0, length)),
      Buffer.concat([whole, Buffer.alloc(1)]),
      Buffer.alloc(whole.length),
      readFileSync(files().find((other) => other !== path) ?? ''),
    ];
    for (const bytes of damaged) {
      writeFileSync(path, bytes);
      restart();
      expect(await thawed()).toBe(8);
      expect(llama.ids).toEqual(ids);
    }
    expect(await frozen()).toBe(8);
    restart();
    expect(await thawed()).toBe(ids.length - 1);
  });

  it('EC-003 is a miss wherever a kill ended its writing, and the next freeze writes it', async () => {
    await frozen();
    const whole = readFileSync(tailFile());
    for (let length = 0; length <= whole.length; length++) {
      rmSync(tailFile());
      writeFileSync(join(folder.path, 'run', 'tail.tmp'), whole.subarray(0, length));
      restart();
      expect(await thawed()).toBe(8);
      expect(await frozen()).toBe(8);
    }
    restart();
    expect(await thawed()).toBe(ids.length - 1);
  });

  it('is of no use behind a block that is gone, and replaced by the freeze that computes it again', async () => {
    await frozen();
    const [first = ''] = disk.names(ids, salt).blocks;
    rmSync(join(blockDir, first.slice(0, 2), `${first}.kv`));
    restart();
    expect(await frozen()).toBe(0);
    expect(llama.ids).toEqual(ids);
    expect(llama.calls.filter((call) => call === 'save')).toHaveLength(1);
    restart();
    expect(await thawed()).toBe(ids.length - 1);
  });

  it('that llama.cpp cannot take is deleted with its blocks', async () => {
    await frozen();
    restart();
    llama.instead.load = () => {
      throw new OperationFailedError('the state is refused');
    };
    await expect(cache.reuse(llama, promptOf(ids, false))).rejects.toThrow(WorkerLostError);
    expect(files()).toEqual([]);
  });

  it('S0-61 is shared with no other context: whatever was frozen before, a thaw gives the tokens that were asked for', async () => {
    const context = fc.record({
      ids: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 14 }),
      under: fc.constantFrom('one', 'two'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(context, { minLength: 1, maxLength: 8 }), async (contexts) => {
        const seen = new Map<string, Set<string>>();
        restart();
        for (const [at, { ids: all, under }] of contexts.entries()) {
          if (at % 3 === 2) restart();
          const reused = await (at % 2 === 0 ? frozen(all, under) : thawed(all, under));
          expect(llama.ids).toEqual(all);
          expect(reused).toBeLessThan(all.length);
          const isWhole = reused > Math.floor((all.length - 1) / blockTokens) * blockTokens;
          if (isWhole) expect([...(seen.get(under) ?? [])]).toContain(all.slice(0, -1).join());
          seen.set(under, (seen.get(under) ?? new Set()).add(all.slice(0, -1).join()));
        }
        for (const path of files()) rmSync(path);
        restart();
      }),
      { numRuns: 40 },
    );
  });
});

describe('the name of a tail', () => {
  const names = (all: readonly number[], under: string | null = null) =>
    promptHashes(hashProfile, all, blockTokens, under);

  it('depends on every token before the last one and on the salt, and is no name of a block', () => {
    const { blocks, tail } = names(ids);
    expect(tail).toMatch(/^[0-9a-f]{64}$/);
    expect(blocks).not.toContain(tail);
    expect(names(ids.with(10, 1)).tail).toBe(tail);
    for (let at = 0; at < 10; at++) expect(names(ids.with(at, 1)).tail).not.toBe(tail);
    expect(names(ids, salt).tail).not.toBe(tail);
    expect(names(ids.slice(0, 10)).tail).not.toBe(tail);
  });

  it('is missing where no token is left behind the blocks, and where there is no block', () => {
    expect(names(ids.slice(0, 9)).tail).toBeNull();
    expect(names(ids.slice(0, 4)).tail).toBeNull();
    expect(names([]).tail).toBeNull();
    expect(names(ids.slice(0, 8)).blocks).toHaveLength(2);
    expect(names(ids.slice(0, 8)).tail).not.toBeNull();
  });
});
