import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { kvBlockHead } from '../../../src/base/kvBlockHead.ts';
import { sha256Hex } from '../../../src/base/hash.ts';
import { encodeBlock } from '../../../src/embedded/kv/files/blockFile.ts';
import { embeddedLayout } from '../../../src/engines/vllm/blocks/embeddedLayout.ts';
import { checksumBlock } from '../../../src/engines/files/blockFile.ts';
import { scratch } from '../../embedded/support/smallModel.ts';

const folder = scratch();
afterAll(() => folder[Symbol.dispose]());
const { signal } = new AbortController();
const layout = embeddedLayout(folder.path, 'rows');
const hash = sha256Hex('a block');

it('the checksum of a block of the embedded engine is the same from its head and from all its bytes, and shows any damage', async () => {
  const { head, body } = encodeBlock(hash, Buffer.alloc(3_000_000, 'rows'), 'rows', { key: null });
  const [{ path } = { path: '' }] = await layout.candidates(hash);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.concat([head, body]));
  const written = await checksumBlock(layout, hash, 'head', signal);
  expect(written).toMatch(/^[0-9a-f]{64}$/);
  expect(await checksumBlock(layout, hash, 'bytes', signal)).toBe(written);
  const whole = readFileSync(path);
  for (const at of [0, 7, 8, 39, 40, 71, 72, 83, 84, 99, 100, 115, 116, 1_500_000, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(path, damaged);
    expect(await checksumBlock(layout, hash, 'bytes', signal), `byte ${at}`).not.toBe(written);
  }
  for (const length of [0, 50, 116, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, length));
    expect(await checksumBlock(layout, hash, 'bytes', signal), `${length} bytes`).not.toBe(written);
  }
  // As the engine leaves it until it has time for the SHA-256.
  const unsummed = Buffer.from(whole).fill(0, kvBlockHead.sha256At, kvBlockHead.bodyAt);
  writeFileSync(path, unsummed);
  expect(await checksumBlock(layout, hash, 'head', signal)).toBe(written);
  expect(await checksumBlock(layout, hash, 'bytes', signal)).toBe(written);
  unsummed[whole.length - 1] = (unsummed.at(-1) ?? 0) ^ 1;
  writeFileSync(path, unsummed);
  expect(await checksumBlock(layout, hash, 'head', signal)).not.toBe(written);
  rmSync(path);
  expect(await checksumBlock(layout, hash, 'head', signal)).toBeNull();
  expect(await checksumBlock(layout, hash, 'bytes', signal)).toBeNull();
});
