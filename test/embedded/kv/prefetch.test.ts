import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { sha256Hex } from '../../../src/base/hash.ts';
import { prefetchBlocks } from '../../../src/embedded/kv/prefetch.ts';
import { scratch } from '../support/smallModel.ts';

const { signal } = new AbortController();

it('reads the files of the blocks that are there, of whatever model, and nothing else', async () => {
  using folder = scratch();
  const put = (namespace: string, hash: string, ending: string, bytes: number): void => {
    const path = join(folder.path, namespace, hash.slice(0, 2), `${hash}${ending}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.alloc(bytes));
  };
  const [first, second, third] = ['one', 'two', 'three'].map((text) => sha256Hex(text)) as [string, string, string];
  put('a'.repeat(32), first, '.kv', 3_000_000);
  put('b'.repeat(32), second, '.kv', 10);
  put('b'.repeat(32), second, '.state', 5);
  put('models', third, '.kv', 1000);
  put('a'.repeat(32), sha256Hex('not asked for'), '.kv', 1000);
  expect(await prefetchBlocks(folder.path, [first, second, third, '../secret'], signal)).toBe(3_000_015);
  expect(await prefetchBlocks(join(folder.path, 'missing'), [first], signal)).toBe(0);
});
