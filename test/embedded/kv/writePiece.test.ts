import type fs from 'node:fs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { writePiece } from '../../../src/embedded/kv/files/writePiece.ts';
import { scratch } from '../support/smallModel.ts';

/** How many bytes the system takes at most in one call. */
const { most } = vi.hoisted(() => ({ most: { bytes: 1 } }));
vi.mock('node:fs', async (original) => {
  const own = await original<typeof fs>();
  return {
    ...own,
    writevSync: (file: number, parts: readonly Uint8Array[]): number =>
      own.writeSync(file, Buffer.concat(parts).subarray(0, most.bytes)),
  };
});

it.each([1, 3, 7, 100])('writes all of a piece where the system takes %d bytes at once', (bytes) => {
  using folder = scratch();
  most.bytes = bytes;
  const path = join(folder.path, 'ab', 'piece');
  writePiece(path, join(folder.path, 'run', 'temporary'), {
    head: Buffer.from('head:'),
    body: Buffer.from('the body'),
  });
  expect(readFileSync(path, 'utf8')).toBe('head:the body');
});
