import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DiskCache } from '../../../src/embedded/kv/diskCache.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { PrefixCache, type Prompt } from '../../../src/embedded/kv/prefixCache.ts';
import { OperationFailedError, WorkerLostError } from '../../../src/embedded/worker/llamaProcess.ts';
import { FakeLlama } from '../support/fakeLlama.ts';
import { openSampleDisk } from '../support/openSampleDisk.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const blockTokens = 4;
const ids = Array.from({ length: 11 }, (_, index) => 500 + index);
const salt = 'salt';

describe('a prefix cache over llama.cpp', () => {
  const threads = new KvThreads(1);
  let folder: Scratch;
  let said: string[];
  let disk: DiskCache;
  let cache: PrefixCache;
  let llama: FakeLlama;
  beforeEach(() => {
    folder = scratch();
    // What an earlier test still says is not said here.
    const heard: string[] = [];
    said = heard;
    const log = (message: string): void => void heard.push(message);
    llama = new FakeLlama();
    const opened = openSampleDisk({ folder: folder.path, llama, blockTokens, threads, log });
    disk = opened.cache;
    cache = new PrefixCache({ disk, blockTokens, loadTimeoutMs: 1000, log });
  });
  afterEach(() => folder[Symbol.dispose]());
  afterAll(() => threads.close());

  const promptOf = (all: readonly number[], under = salt): Prompt => ({
    ids: all,
    salt: under,
    hashes: disk.hashes(all, under),
    tail: null,
  });
  /** Computes a prompt and stores its full blocks, as a request does. */
  async function computed(prompt = promptOf(ids)): Promise<number> {
    const { tokens } = await cache.reuse(llama, prompt);
    await cache.evaluate(llama, prompt.ids.slice(tokens), null);
    await cache.store(llama, prompt, prompt.hashes.length);
    return tokens;
  }
  /** Another process, which has computed nothing yet. */
  const restart = (): void => {
    llama = new FakeLlama();
    cache.forget();
  };

  it('S0-26 gives a new process the blocks of an old one', async () => {
    expect(await computed()).toBe(0);
    restart();
    expect(await cache.reuse(llama, promptOf(ids))).toEqual({ tokens: 8, source: 'disk' });
    expect(llama.ids).toEqual(ids.slice(0, 8));
  });

  it('reuses what the process holds, but nothing under another salt', async () => {
    await computed();
    expect(await cache.reuse(llama, promptOf([...ids, 1, 2]))).toEqual({ tokens: 8, source: 'device' });
    expect(await cache.reuse(llama, promptOf([...ids, 1, 2], 'other'))).toEqual({ tokens: 0, source: 'device' });
  });

  it('ends a process that cannot load a state, and never offers it those blocks again', async () => {
    await computed();
    restart();
    llama.instead.load = () => {
      throw new OperationFailedError('the state is refused');
    };
    const lost = cache.reuse(llama, promptOf(ids));
    await expect(lost).rejects.toThrow(WorkerLostError);
    await expect(lost).rejects.toMatchObject({ operation: 'load', message: 'the state is refused' });
    expect(llama.isAlive).toBe(false);
    restart();
    expect(await cache.reuse(llama, promptOf(ids))).toEqual({ tokens: 0, source: 'device' });
    expect(llama.calls).not.toContain('load');
  });

  it('does not believe a process that loaded fewer tokens than it was given', async () => {
    await computed();
    restart();
    llama.instead.load = () => 7;
    await expect(cache.reuse(llama, promptOf(ids))).rejects.toThrow('llama.cpp loaded 7 of 8 tokens.');
    expect(llama.isAlive).toBe(false);
  });

  it('tells its caller that the process was lost in a load', async () => {
    await computed();
    restart();
    llama.instead.load = () => {
      throw new WorkerLostError('load', 'The llama.cpp process ended with SIGABRT.');
    };
    await expect(cache.reuse(llama, promptOf(ids))).rejects.toThrow('SIGABRT');
  });

  it('computes what cannot be put together, as on a full disk, and says so', async () => {
    await computed();
    restart();
    vi.spyOn(disk, 'assemble').mockRejectedValueOnce(new Error('ENOSPC'));
    expect(await cache.reuse(llama, promptOf(ids))).toEqual({ tokens: 0, source: 'device' });
    expect(said).toEqual(['Block files could not be used: Error: ENOSPC']);
    expect(readdirSync(join(folder.path, 'run'))).toEqual([]);
  });

  it('continues without files where a state cannot be saved, counts it and says so', async () => {
    llama.instead.save = () => {
      throw new OperationFailedError('no room for the state');
    };
    await computed();
    expect(disk.counters).toMatchObject({ writeFailures: 1, written: 0 });
    expect(said).toEqual([expect.stringContaining("The prompt's KV was not stored: ")]);
    expect(said[0]).toContain('no room for the state');
    expect(await cache.reuse(llama, promptOf([...ids, 1, 2]))).toEqual({ tokens: 8, source: 'device' });
  });

  it('tells its caller that the process was lost while it saved a state', async () => {
    llama.instead.save = () => {
      throw new WorkerLostError('save', 'The llama.cpp process ended with SIGKILL.');
    };
    await expect(computed()).rejects.toThrow('SIGKILL');
    expect(disk.counters.writeFailures).toBe(0);
  });

  it('uses the rows on disk, which a restart brings back, in place of those that an answer left in the process', async () => {
    await computed();
    // The answer fills the third block, and another process has stored that block by now.
    await cache.evaluate(llama, [900, 901], null);
    const longer = promptOf([...ids, 900, 901, 902]);
    const other = new FakeLlama();
    other.ids = longer.ids.slice(0, 12);
    await disk.store({ ...longer, tail: null }, 12, (path) => other.call('save', { path }));
    expect(await cache.reuse(llama, longer)).toEqual({ tokens: 12, source: 'disk' });
  });

  it('continues a model that forgets nothing only where the prompt begins with all that it holds', async () => {
    llama = new FakeLlama(false);
    cache = new PrefixCache({ disk: null, blockTokens, loadTimeoutMs: 1000, log: () => {} });
    await computed();
    expect(await cache.reuse(llama, promptOf([...ids, 1]))).toEqual({ tokens: ids.length, source: 'device' });
    expect(await cache.reuse(llama, promptOf([...ids.slice(0, 5), 1, 2]))).toEqual({ tokens: 0, source: 'device' });
  });
});
