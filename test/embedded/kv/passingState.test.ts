import { existsSync, fstatSync, readdirSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptStateBytes, openMemoryFile, PassingState } from '../../../src/embedded/kv/state/passingState.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

describe('the state that passes between block files and llama.cpp', () => {
  let folder: Scratch;
  beforeEach(() => (folder = scratch()));
  afterEach(() => folder[Symbol.dispose]());

  it.runIf(openMemoryFile() !== null)(
    'is in memory on Linux, has no name, and leaves no more than a part takes once it was used',
    async () => {
      const passing = new PassingState(folder.path, openMemoryFile());
      const state = await passing.place(1000);
      expect(state.path).toBe('/proc/self/fd/4');
      const file = state.open();
      writeSync(file, Buffer.alloc(1000, 1));
      expect(fstatSync(file).nlink).toBe(0);
      await passing.release();
      expect(fstatSync(file)).toMatchObject({ size: 1000, blocks: 8 });
      writeSync(file, Buffer.alloc(1000, 1), 0, 1000, keptStateBytes);
      await passing.release();
      expect(fstatSync(file).size).toBe(keptStateBytes);
      expect(readdirSync(folder.path)).toEqual([]);
    },
  );

  it('is a file of the run folder where memory is short or has no files, and is deleted once it was used', async () => {
    for (const memoryFile of [null, openMemoryFile()]) {
      const passing = new PassingState(folder.path, memoryFile);
      const state = await passing.place(2 ** 50);
      expect(state.path.startsWith(folder.path)).toBe(true);
      writeSync(state.open(), Buffer.alloc(1000, 1));
      expect(existsSync(state.path)).toBe(true);
      await passing.release();
      await passing.release();
      expect(readdirSync(folder.path)).toEqual([]);
    }
  });
});
