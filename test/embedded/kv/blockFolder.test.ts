import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../src/base/hash.ts';
import { BlockFolder, newBlockCounters, pieceFile } from '../../../src/embedded/kv/files/blockFolder.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const payload = Buffer.from('the rows of a block');
const hash = sha256Hex('block');

describe('the folder of KV pieces', () => {
  let folder: Scratch;
  let said: string[];
  beforeEach(() => {
    folder = scratch();
    said = [];
  });
  afterEach(() => folder[Symbol.dispose]());

  const blocks = (path = join(folder.path, 'blocks'), payloadBytes: number | null = payload.length): BlockFolder =>
    new BlockFolder({
      path,
      kind: 'rows',
      seal: { key: null },
      payloadBytes,
      counters: newBlockCounters(),
      log: (message) => said.push(message),
    });
  const temporary = (): string => join(folder.path, 'run', 'block.tmp');
  const fileIn = ({ path }: BlockFolder): string => pieceFile(path, hash, 'rows');
  /** The name is longer than a file system allows, so that every call but those for a missing file fails. */
  const unusable = (): BlockFolder => blocks(join(folder.path, 'n'.repeat(300)));

  it('S0-50 stores a piece in a file for this user alone, below the first two digits of its name, and leaves no other', () => {
    const stored = blocks();
    expect(stored.write(hash, payload, temporary())).toBe(true);
    expect(stored.read(hash)).toEqual(payload);
    expect(stored.has(hash)).toBe(true);
    expect(readdirSync(join(folder.path, 'run'))).toEqual([]);
    expect(readdirSync(stored.path)).toEqual([hash.slice(0, 2)]);
    if (process.platform !== 'win32') expect(statSync(fileIn(stored)).mode & 0o777).toBe(0o600);
    expect(stored.counters).toMatchObject({ written: 1, read: 1, damaged: 0, writeFailures: 0 });
  });

  it('makes folders again that were deleted, and replaces what a process that died left', () => {
    const stored = blocks();
    stored.write(hash, payload, temporary());
    rmSync(stored.path, { recursive: true });
    writeFileSync(temporary(), 'half of a longer piece than this one, from a process that was killed');
    expect(stored.write(hash, payload, temporary())).toBe(true);
    expect(stored.read(hash)).toEqual(payload);
  });

  it('has nothing, and counts nothing as damaged, where no file is', () => {
    const empty = blocks();
    expect(empty.has(hash)).toBe(false);
    expect(empty.read(hash)).toBeNull();
    expect(empty.counters).toEqual(newBlockCounters());
    expect(said).toEqual([]);
  });

  it('does not count a file of another size as the piece, where all have one size', () => {
    const stored = blocks();
    stored.write(hash, payload, temporary());
    truncateSync(fileIn(stored), statSync(fileIn(stored)).size - 1);
    expect(stored.has(hash)).toBe(false);
    expect(blocks(stored.path, null).has(hash)).toBe(true);
    truncateSync(fileIn(stored), 10);
    expect(blocks(stored.path, null).has(hash)).toBe(false);
  });

  it.each<[string, (file: string) => void]>([
    ['a file that was cut', (file) => truncateSync(file, 50)],
    ['an empty file', (file) => truncateSync(file, 0)],
    ['another file', (file) => writeFileSync(file, Buffer.alloc(500, 7))],
    [
      'a directory',
      (file) => {
        rmSync(file);
        mkdirSync(join(file, 'inner'), { recursive: true });
      },
    ],
  ])('EC-050 deletes %s in the place of a piece and says so, and the piece can be stored again', (_, damage) => {
    const stored = blocks();
    stored.write(hash, payload, temporary());
    damage(fileIn(stored));
    expect(stored.read(hash)).toBeNull();
    expect(existsSync(fileIn(stored))).toBe(false);
    expect(said.at(-1)).toBe(`Block ${hash} is damaged; it is deleted and will be computed again.`);
    expect(stored.counters.damaged).toBe(1);
    expect(stored.write(hash, payload, temporary())).toBe(true);
    expect(stored.read(hash)).toEqual(payload);
  });

  it('says the same failure of a write once, and says it again after a write that succeeded', () => {
    const stored = blocks();
    const blocked = (name: string): boolean => stored.write(sha256Hex(name), payload, temporary());
    writeFileSync(stored.path, 'a file where the folder belongs');
    expect([blocked('one'), blocked('two')]).toEqual([false, false]);
    expect(said).toEqual([expect.stringContaining('KV cannot be stored, so it will not be reused: ')]);
    rmSync(stored.path);
    expect(blocked('three')).toBe(true);
    rmSync(stored.path, { recursive: true });
    writeFileSync(stored.path, 'again');
    blocked('four');
    expect(said).toHaveLength(2);
    expect(stored.counters).toMatchObject({ written: 1, writeFailures: 3 });
    expect(existsSync(dirname(temporary()))).toBe(true);
  });

  it('never fails a request where the file system refuses: it says what it could not do', () => {
    const refused = unusable();
    expect(refused.has(hash)).toBe(false);
    expect(refused.read(hash)).toBeNull();
    expect(refused.write(hash, payload, temporary())).toBe(false);
    expect(said).toEqual([
      expect.stringContaining(`Block ${hash} cannot be looked up: `),
      expect.stringContaining(`Block ${hash} cannot be read: `),
      expect.stringContaining('is damaged'),
      expect.stringContaining(`Block ${hash} cannot be deleted: `),
      expect.stringContaining('KV cannot be stored'),
    ]);
  });
});
