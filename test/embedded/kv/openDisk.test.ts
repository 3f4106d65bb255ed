import { existsSync, fstatSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDisk, type OpenDiskOptions } from '../../../src/embedded/kv/openDisk.ts';
import { KvThreads } from '../../../src/embedded/kv/threads/kvThreads.ts';
import { blockFileBytes } from '../../../src/embedded/kv/files/blockFile.ts';
import { openMemoryFile, PassingState } from '../../../src/embedded/kv/state/passingState.ts';
import { aModel } from '../support/aModel.ts';
import { rowState } from '../support/rowState.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const blockTokens = 4;

const ids = Array.from({ length: 10 }, (_, index) => 500 + index);

describe('the disk cache of a model that was loaded', () => {
  const threads = new KvThreads(1);
  let folder: Scratch;
  let said: string[];
  beforeEach(() => {
    folder = scratch();
    said = [];
  });
  afterEach(() => folder[Symbol.dispose]());
  afterAll(() => threads.close());

  const optionsWith = (changes: Partial<OpenDiskOptions> = {}, sample = rowState([1, 2, 3])): OpenDiskOptions => {
    const samplePath = join(folder.path, 'sample.state');
    writeFileSync(samplePath, sample);
    const runFolder = join(folder.path, 'run');
    return {
      kvDir: join(folder.path, 'kv'),
      blockTokens,
      info: aModel(),
      modelSha256: 'a'.repeat(64),
      samplePath,
      kvKey: null,
      runFolder,
      passing: [new PassingState(runFolder)],
      threads,
      log: (message) => said.push(message),
      ...changes,
    };
  };
  const folderOf = (changes: Partial<OpenDiskOptions> = {}): string | undefined =>
    openDisk(optionsWith(changes))?.blocks?.folder;

  it('cuts a state that llama.cpp saved into blocks, and puts the same rows together again', async () => {
    const { cache } = openDisk(optionsWith()) ?? {};
    const hashes = cache?.hashes(ids, 'salt') ?? [];
    expect(hashes).toHaveLength(2);
    const saved = rowState(ids);
    await cache?.store({ ids, hashes, tail: null }, ids.length, async (path) => writeFileSync(path, saved));
    expect(cache?.isMissingAny(hashes)).toBe(false);
    const assembled = await cache?.assemble({ ids, hashes, tail: null }, 2);
    expect(assembled?.blocks).toBe(2);
    expect(readFileSync(assembled?.state.path ?? '')).toEqual(rowState(ids.slice(0, 8)));
    await cache?.release();
  });

  /** Writes the state into the memory file as llama.cpp does, which opens it by its name. */
  const saveInMemory = (passing: PassingState, bytes: Buffer) => async () => {
    // Whatever is longer than what llama.cpp has written would be cut.
    expect(fstatSync(passing.memoryFile ?? -1).size).toBe(0);
    writeSync(passing.memoryFile ?? -1, bytes.subarray(0, 60), 0, 60, 0);
    await setImmediate();
    writeSync(passing.memoryFile ?? -1, bytes, 60, bytes.length - 60, 60);
  };

  it.runIf(openMemoryFile() !== null)(
    'cuts a state in memory while it is saved, and gives the blocks their SHA-256 afterwards',
    async () => {
      const passing = new PassingState(folder.path, openMemoryFile());
      const { cache } = openDisk(optionsWith({ passing: [passing] })) ?? {};
      const hashes = cache?.hashes(ids, 'salt') ?? [];
      await cache?.store({ ids, hashes, tail: null }, ids.length, saveInMemory(passing, rowState(ids)));
      expect(cache?.missing(hashes)).toEqual([]);
      await expect.poll(() => cache?.counters.summed).toBe(2);
      expect((await cache?.assemble({ ids, hashes, tail: null }, 2))?.blocks).toBe(2);
      await cache?.release();
      expect(cache?.counters).toMatchObject({ written: 2, read: 2, writeFailures: 0 });
    },
  );

  it.runIf(openMemoryFile() !== null)(
    'cuts a state in memory again when its rows lie elsewhere than expected, and none that is not the prompt',
    async () => {
      const passing = new PassingState(folder.path, openMemoryFile());
      const { cache } = openDisk(optionsWith({ passing: [passing] })) ?? {};
      const hashes = cache?.hashes(ids, null) ?? [];
      const others = rowState(ids.map((id) => id + 1));
      await expect(
        cache?.store({ ids, hashes, tail: null }, ids.length, saveInMemory(passing, others)),
      ).rejects.toThrow("llama.cpp's state is not that of the prompt.");
      const failed = cache?.store({ ids, hashes, tail: null }, ids.length, () =>
        Promise.reject(new Error('llama.cpp died')),
      );
      await expect(failed).rejects.toThrow('llama.cpp died');
      expect(cache?.missing(hashes)).toEqual([0, 1]);
      expect(existsSync(join(folder.path, 'run', 'block.tmp0-0'))).toBe(false);
      // The bytes of the other state are still in the file when this one begins.
      await cache?.store({ ids, hashes, tail: null }, 9, saveInMemory(passing, rowState(ids)));
      expect(cache?.missing(hashes)).toEqual([]);
      const assembled = await cache?.assemble({ ids, hashes, tail: null }, 2);
      expect(assembled?.blocks).toBe(2);
      expect(readFileSync(assembled?.state.open() ?? -1)).toEqual(rowState(ids.slice(0, 8)));
      await cache?.release();
    },
  );

  it('stores nothing of a state that is not that of the prompt', async () => {
    const { cache } = openDisk(optionsWith()) ?? {};
    const hashes = cache?.hashes(ids, null) ?? [];
    const others = rowState(ids.map((id) => id + 1));
    const store = cache?.store({ ids, hashes, tail: null }, ids.length, async (path) => writeFileSync(path, others));
    await expect(store).rejects.toThrow("llama.cpp's state is not that of the prompt.");
    expect(cache?.missing(hashes)).toEqual([0, 1]);
  });

  it("has a folder of its own for everything that KV depends on, and tells the size of a block's file", () => {
    const opened = openDisk(optionsWith());
    expect(opened?.blocks?.fileBytes).toBe(blockFileBytes((8 + 24) * blockTokens));
    expect(dirname(opened?.blocks?.folder ?? '')).toBe(join(folder.path, 'kv'));
    const others = [
      folderOf({ modelSha256: 'b'.repeat(64) }),
      folderOf({ info: aModel({ llamaCpp: 'b1001' }) }),
      folderOf({ info: aModel({ gpu: 'cuda' }) }),
      folderOf({ info: aModel({ hasScaledPositions: true }) }),
      folderOf({ info: aModel({ hasScaledPositions: true, contextTokens: 8192 }) }),
      folderOf({ blockTokens: 8 }),
    ];
    expect(new Set([opened?.blocks?.folder, ...others]).size).toBe(7);
    // It changes nothing in a model whose positions do not depend on it.
    expect(folderOf({ info: aModel({ contextTokens: 8192 }) })).toBe(opened?.blocks?.folder);
  });

  it('has another folder for each key, and none of them shows the key', () => {
    const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const folders = keys.map((kvKey) => folderOf({ kvKey }));
    expect(new Set([...folders, folderOf()]).size).toBe(3);
    const config = readFileSync(join(folders[1] ?? '', 'config.json'), 'utf8');
    expect(config).toMatch(/"keyId": "[0-9a-f]{16}"/);
    expect(config).not.toContain(keys[1]?.toString('hex').slice(0, 16));
  });

  it('does not exist for a state in an unknown form, and the log says why', () => {
    expect(openDisk(optionsWith({}, Buffer.from('another format of a later llama.cpp')))).toBeNull();
    expect(said).toEqual([expect.stringContaining("The model's state cannot be read: ")]);
  });
});
