import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { kvBlockHead } from '../../../src/base/kvBlockHead.ts';
import {
  blockFileBytes,
  decodeBlock,
  encodeBlock,
  type BlockSeal,
  type PieceKind,
} from '../../../src/embedded/kv/files/blockFile.ts';
import { fc } from '../../support/fc.ts';

const { sha256At, bodyAt } = kvBlockHead;
const clearSeal: BlockSeal = { key: null };

const name = createHash('sha256').update('a name').digest('hex');
const otherName = createHash('sha256').update('another').digest('hex');
const payload = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 31) % 256));
const sealed: BlockSeal = { key: Buffer.alloc(32, 7) };

const encode = (fileName: string, bytes: Uint8Array, seal: BlockSeal, kind: PieceKind = 'rows'): Buffer => {
  const { head, body } = encodeBlock(fileName, bytes, kind, seal);
  return Buffer.concat([head, body]);
};

describe.each([
  ['in clear', clearSeal],
  ['encrypted', sealed],
])('a block file %s', (_, seal) => {
  const decode = (fileName: string, file: Buffer, kind: PieceKind = 'rows') => decodeBlock(fileName, file, kind, seal);

  it('gives its payload back under its own name', () => {
    const file = encode(name, payload, seal);
    expect(file.length).toBe(blockFileBytes(payload.length));
    expect(decode(name, file)?.equals(payload)).toBe(true);
  });

  it('EC-004 is nothing under another name, nor as another kind of piece', () => {
    expect(decode(otherName, encode(name, payload, seal))).toBeNull();
    expect(decode(name, encode(name, payload, seal), 'position')).toBeNull();
  });

  it('with another name written into it is nothing either: the checks are over the name too', () => {
    const file = encode(name, payload, seal);
    encode(otherName, payload, seal).copy(file, 8, 8, 40);
    expect(decode(otherName, file)).toBeNull();
  });

  it('with the body of another block is nothing', () => {
    const other = encode(
      otherName,
      payload.map((byte) => byte ^ 1),
      seal,
    );
    const file = encode(name, payload, seal);
    other.copy(file, blockFileBytes(0), blockFileBytes(0));
    expect(decode(name, file)).toBeNull();
  });

  it('is nothing once any bit was flipped of what a load needs', () => {
    const file = encode(name, payload, seal);
    for (let at = 0; at < file.length; at++) {
      if (at >= sha256At && at < blockFileBytes(0)) continue;
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at & 7));
      expect(decode(name, damaged), `byte ${at}`).toBeNull();
    }
  });

  it('is nothing once bytes of it were zeroed, or swapped', () => {
    const file = encode(name, payload, seal);
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(file.length - 1), (a, b) => {
        const swapped = Buffer.from(file);
        [swapped[a], swapped[b]] = [file[b] ?? 0, file[a] ?? 0];
        const zeroed = Buffer.from(file).fill(0, Math.min(a, b), Math.max(a, b) + 1);
        const isSame = (other: Buffer): boolean =>
          Buffer.from(other).fill(file.subarray(sha256At, bodyAt), sha256At, bodyAt).equals(file);
        return [swapped, zeroed].every((other) => isSame(other) || decode(name, other) === null);
      }),
    );
  });

  it('is nothing once it was cut anywhere, or grew', () => {
    const file = encode(name, payload, seal);
    fc.assert(fc.property(fc.nat(file.length - 1), (length) => decode(name, file.subarray(0, length)) === null));
    expect(decode(name, Buffer.concat([file, Buffer.alloc(1)]))).toBeNull();
  });

  it('carries the SHA-256 over its name and body, which a window records', () => {
    const file = encode(name, payload, seal);
    const sha256 = createHash('sha256')
      .update(file.subarray(8, 40))
      .update(file.subarray(blockFileBytes(0)));
    expect(file.toString('hex', sha256At, bodyAt)).toBe(sha256.digest('hex'));
  });
});

describe('an encrypted block file', () => {
  it('is nothing in clear, under another key, or as a file in clear', () => {
    const file = encode(name, payload, sealed);
    expect(decodeBlock(name, file, 'rows', clearSeal)).toBeNull();
    expect(decodeBlock(name, file, 'rows', { key: Buffer.alloc(32, 8) })).toBeNull();
    expect(decodeBlock(name, encode(name, payload, clearSeal), 'rows', sealed)).toBeNull();
  });

  it('has no byte run of its payload, and never the same bytes twice', () => {
    const file = encode(name, payload, sealed);
    expect(file.includes(payload.subarray(0, 8))).toBe(false);
    expect(encode(name, payload, sealed).equals(file)).toBe(false);
  });
});
