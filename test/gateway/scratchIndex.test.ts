import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFile, scratchInMemory, type ScratchFile } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { fc } from '../support/fc.ts';
import { runs } from '../support/nightly.ts';

const makeDirectory = temporaryDirectories();

/** A file in memory with everything that was written to it. */
function watched(): { readonly file: ScratchFile; readonly written: () => string } {
  const file = scratchInMemory();
  const all: Uint8Array[] = [];
  const write = (bytes: Uint8Array, at: number): void => {
    all.push(Uint8Array.from(bytes));
    file.write(bytes, at);
  };
  return { file: { ...file, write }, written: () => Buffer.concat(all).toString('latin1') };
}

describe('an index in a file of the process', () => {
  test('has of each key what a table in memory has, the newest first, however many share a bucket', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const entry = fc.record({ keys: fc.array(key, { maxLength: 3 }), value: fc.string({ maxLength: 80 }) });
    fc.assert(
      fc.property(
        fc.array(fc.array(entry, { maxLength: 4 }), { maxLength: 12 }),
        fc.constantFrom(1, 2, 64),
        (all, buckets) => {
          const index = new ScratchIndex(scratchInMemory(), buckets);
          const known: { readonly key: string; readonly value: string }[] = [];
          for (const entries of all) {
            index.add(entries);
            for (const { keys, value } of entries) known.unshift(...keys.map((each) => ({ key: each, value })));
          }
          for (const each of ['a', 'b', 'c', 'd', 'e', 'f']) {
            const values = known.filter((one) => one.key === each).map(({ value }) => value);
            expect([...index.find(each)]).toEqual(values);
            expect(index.newest(each)).toBe(values[0] ?? null);
          }
        },
      ),
      { numRuns: runs(100, 3000) },
    );
  });

  test('says nothing to who reads the file: no value, no key, and nothing equal for what is equal', () => {
    const { file, written } = watched();
    const index = new ScratchIndex(file);
    for (let at = 0; at < 2; at++) index.add([{ keys: ['a key of it'], value: 'a value of it'.repeat(10) }]);
    expect(written()).not.toMatch(/key|value/);
    const half = written().length / 2;
    expect(written().slice(0, half)).not.toBe(written().slice(half));
    expect(index.newest('a key of it')).toContain('a value of it');
  });

  test('does not believe what was damaged: it is not there, and nothing else is lost by a damaged value', () => {
    const file = scratchInMemory();
    const index = new ScratchIndex(file);
    index.add([
      { keys: ['one'], value: 'the value of one' },
      { keys: ['other'], value: 'the value of the other' },
    ]);
    // The first value stands at the first place.
    const [byte] = file.read(32, 1);
    file.write(Uint8Array.of(byte! ^ 1), 32);
    expect([index.newest('one'), index.newest('other')]).toEqual([null, 'the value of the other']);
    file.write(new Uint8Array(300), 0);
    expect([index.newest('one'), index.newest('other')]).toEqual([null, null]);
  });

  test('a write that fails changes nothing, and the next one does not stand where it was to stand', () => {
    const { file, written } = watched();
    let isFull = false;
    const write = (bytes: Uint8Array, at: number): void => {
      if (isFull) throw new Error('ENOSPC');
      file.write(bytes, at);
    };
    const index = new ScratchIndex({ ...file, write });
    index.add([{ keys: ['a'], value: '1' }]);
    isFull = true;
    expect(() => index.add([{ keys: ['a', 'b'], value: '2' }])).toThrow('ENOSPC');
    isFull = false;
    index.add([{ keys: ['b'], value: '3' }]);
    expect([[...index.find('a')], [...index.find('b')]]).toEqual([['1'], ['3']]);
    expect(written()).toHaveLength(128);
    expect(index.bytes).toBe(32 + 64 + 96 + 64);
  });

  test('the file has no name, ends with its process, and takes nothing once it is closed', () => {
    const folder = path.join(makeDirectory(), 'gateway');
    const index = new ScratchIndex(scratchFile(folder));
    index.add([{ keys: ['a'], value: '1' }]);
    expect(index.newest('a')).toBe('1');
    if (process.platform !== 'win32') expect(readdirSync(folder)).toEqual([]);
    index.clear();
    expect(index.newest('a')).toBeNull();
    index.add([{ keys: ['a'], value: '2' }]);
    expect(index.newest('a')).toBe('2');
    index.close();
    expect(readdirSync(folder)).toEqual([]);
    expect(index.newest('a')).toBeNull();
    expect(() => index.add([{ keys: ['a'], value: '3' }])).toThrow('closed');
  });

  test('where the directory cannot be written, the file is where the system has such files', () => {
    const index = new ScratchIndex(scratchFile(path.join(import.meta.filename, 'no folder')));
    index.add([{ keys: ['a'], value: '1' }]);
    expect(index.newest('a')).toBe('1');
    index.close();
  });
});
