import { describe, expect, test } from 'vitest';
import { effects } from '../../src/core/signallingStore.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { accesses } from '../../src/store/parts/accesses.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe } from './operations.ts';
import { openTestStore } from './testStore.ts';

const root = '/cwm';
const methods = Object.entries(accesses).flatMap(([part, names]) =>
  Object.entries(names).map(([name, access]) => ({ path: `${part}.${name}`, part, name, writes: access !== 'read' })),
);
const writing = methods.filter(({ writes }) => writes);

const call = (store: Store, { part, name }: (typeof methods)[number]): Promise<unknown> => {
  const of = store[part as keyof Store] as unknown as Record<string, () => Promise<unknown>>;
  return of[name]!();
};

async function filled(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const store = await openTestStore(root, { files });
  await fill(store);
  await store.close();
  return files;
}

describe('the guard before every part', () => {
  test('refuses every method that writes to a read-only store, which then is as it was', async () => {
    const files = await filled();
    const readOnlyWhy = new CwmError('WriteFailed', 'The disk is mounted read-only.');
    const store = await openTestStore(root, { files, readOnlyWhy });
    const before = files.tree(root);
    const seen = await observe(store);
    for (const method of writing) await expect(call(store, method), method.path).rejects.toBe(readOnlyWhy);
    expect(await observe(store)).toEqual(seen);
    expect(files.tree(root)).toEqual(before);
  });

  test('refuses every method of a closed store', async () => {
    const files = await filled();
    const store = await openTestStore(root, { files });
    await store.close();
    for (const method of methods) {
      await expect(call(store, method), method.path).rejects.toMatchObject({ name: 'BackendUnavailable' });
    }
  });

  test('has a row for every method that a part may be asked for, and no part offers another', async () => {
    const store = await openTestStore(root, { files: await filled() });
    for (const [part, names] of Object.entries(accesses)) {
      expect(Object.keys(store[part as keyof Store])).toEqual(Object.keys(names));
    }
  });

  test('agrees with the table of signals on what only reads', () => {
    const readingFor = (table: object, word: string): string[] =>
      Object.entries(table).flatMap(([part, names]) =>
        Object.entries(names as object).flatMap(([name, row]) => (row === word ? [`${part}.${name}`] : [])),
      );
    expect(readingFor(accesses, 'read')).toEqual(readingFor(effects, 'reads'));
  });
});
