import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeBlock } from '../../../src/embedded/kv/files/blockFile.ts';
import { pieceFile } from '../../../src/embedded/kv/files/blockFolder.ts';
import { BlockWriter } from '../../../src/embedded/kv/files/blockWriter.ts';
import { scratch } from '../support/smallModel.ts';

const name = 'ab'.repeat(32);
const seal = { key: null };

describe('a block that is written part by part', () => {
  it('has its name only once it is whole, and is what was given', () => {
    using folder = scratch();
    const writer = new BlockWriter(folder.path, name, seal, join(folder.path, 'part.tmp'));
    writer.add(Buffer.from('first '));
    writer.add(Buffer.from('second'));
    expect(readdirSync(folder.path)).toEqual(['part.tmp']);
    expect(writer.finish()).toBe('done');
    const file = readFileSync(pieceFile(folder.path, name, 'rows'));
    expect(decodeBlock(name, file, 'rows', seal)?.toString()).toBe('first second');
    expect(readdirSync(folder.path)).toEqual(['ab']);
  });

  it('is the same file where it is given whole, in one write', () => {
    using folder = scratch();
    const writer = new BlockWriter(folder.path, name, seal, join(folder.path, 'part.tmp'));
    writer.add(Buffer.from('first second'), true);
    const written = readFileSync(join(folder.path, 'part.tmp'));
    expect(decodeBlock(name, written, 'rows', seal)?.toString()).toBe('first second');
    expect(writer.finish()).toBe('done');
    expect(readFileSync(pieceFile(folder.path, name, 'rows'))).toEqual(written);
  });

  it('says why where it cannot be written, ends with the first failure, and leaves nothing behind', () => {
    using folder = scratch();
    writeFileSync(join(folder.path, 'file'), '');
    const unwritable = new BlockWriter(folder.path, name, seal, join(folder.path, 'file', 'part.tmp'));
    unwritable.add(Buffer.from('first'));
    unwritable.add(Buffer.from('second'));
    expect(unwritable.finish()).toEqual({ failure: expect.stringMatching(/^ENOTDIR/) });
    expect(readdirSync(folder.path)).toEqual(['file']);

    // Something else has its name.
    mkdirSync(join(pieceFile(folder.path, name, 'rows'), 'in the way'), { recursive: true });
    const nameless = new BlockWriter(folder.path, name, seal, join(folder.path, 'part.tmp'));
    nameless.add(Buffer.from('first'));
    expect(nameless.finish()).toEqual({ failure: expect.stringMatching(/directory|EISDIR|ENOTEMPTY|EPERM|EEXIST/i) });
    expect(readdirSync(folder.path).toSorted()).toEqual(['ab', 'file']);
  });

  it('leaves nothing behind where it is discarded', () => {
    using folder = scratch();
    const writer = new BlockWriter(folder.path, name, seal, join(folder.path, 'part.tmp'));
    writer.add(Buffer.from('first'));
    writer.discard();
    expect(readdirSync(folder.path)).toEqual([]);
  });
});
