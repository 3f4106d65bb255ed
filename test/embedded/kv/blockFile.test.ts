import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockFileBytes, decodeBlock, encodeBlock } from '../../../src/embedded/kv/blockFile.ts';

const name = createHash('sha256').update('a name').digest('hex');
const otherName = createHash('sha256').update('another').digest('hex');
const payload = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 31) % 256));

describe('a block file', () => {
  it('gives its payload back under its own name', () => {
    const file = encodeBlock(name, payload);
    expect(file.length).toBe(blockFileBytes(payload.length));
    expect(decodeBlock(name, file)?.equals(payload)).toBe(true);
  });

  it('EC-004 is nothing under another name', () => {
    expect(decodeBlock(otherName, encodeBlock(name, payload))).toBeNull();
  });

  it('with another name written into it is nothing either: the checksum is over the name too', () => {
    const file = encodeBlock(name, payload);
    const renamed = encodeBlock(otherName, payload);
    renamed.copy(file, 40, 40, 72);
    expect(decodeBlock(otherName, file)).toBeNull();
  });

  it('is nothing once any bit of it was flipped', () => {
    const file = encodeBlock(name, payload);
    fc.assert(
      fc.property(fc.nat(file.length * 8 - 1), (bit) => {
        const damaged = Buffer.from(file);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return decodeBlock(name, damaged) === null;
      }),
    );
  });

  it('is nothing once it was cut anywhere', () => {
    const file = encodeBlock(name, payload);
    fc.assert(fc.property(fc.nat(file.length - 1), (length) => decodeBlock(name, file.subarray(0, length)) === null));
  });
});
