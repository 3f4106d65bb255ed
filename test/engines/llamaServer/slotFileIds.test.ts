import { mkdtemp, open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { idsIn } from '../../../src/engines/llamaServer/slots/slotFileIds.ts';

const words = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt32LE(value, 4 * at);
  return bytes;
};
const mark = 0x67677371;

async function idsOf(content: Uint8Array): Promise<readonly number[] | null> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'cwm-ids-')), 'slot');
  await writeFile(file, content);
  await using opened = await open(file);
  return await idsIn(opened);
}

it.each([
  ['an older form', words(mark, 2, 3, 7, 8, 9, 1234), [7, 8, 9]],
  ['a packed form', words(mark, 3, 6, 0xffffffff, 1, 2, 7, 8, 1234), [7, 8]],
  ['no ids', words(mark, 2, 0), []],
  ['another mark', words(1, 2, 1, 7), null],
  ['a version that nobody knows', words(mark, 9, 1, 7), null],
  ['an empty file', Buffer.alloc(0), null],
])('reads the token ids of a slot file: %s', async (_, content, ids) => {
  expect(await idsOf(content)).toEqual(ids);
});

it('a damaged number of ids is more than the file holds, and no memory is asked for it', async () => {
  const before = process.memoryUsage().external;
  expect(await idsOf(words(mark, 2, 100_000_000, 7))).toBeNull();
  expect(await idsOf(words(mark, 3, 100_000_000, 0xffffffff, 1, 99_999_999, 7))).toBeNull();
  expect(process.memoryUsage().external - before).toBeLessThan(64 << 20);
});
