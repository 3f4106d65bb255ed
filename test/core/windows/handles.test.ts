import { expect, test } from 'vitest';
import { isHandleNamed } from '../../../src/core/windows/handles.ts';
import { CwmError } from '../../../src/protocol/errors.ts';

const lineage = 'l1';

/** A store with one session, and a hundred windows on each page before the last one. */
function storeWith({
  checkpoint = null as string | null,
  windows,
}: {
  checkpoint?: string | null;
  windows: Record<string, object | Error>;
}) {
  const names = Object.keys(windows);
  return {
    sessions: { ids: async () => ['s'] },
    checkpoints: { get: async () => checkpoint && { kv: { handle: checkpoint } } },
    windows: {
      list: async ({ offset, limit }: { offset: number; limit: number }) => ({
        items: names.slice(offset, offset + limit).map((name) => ({ name })),
        total: names.length,
      }),
      get: async (name: string) => {
        const found = windows[name];
        if (found instanceof Error) throw found;
        return found;
      },
      loadKvHead: async (name: string) => windows[name],
    },
  } as never;
}

test('the file of a handle is named by a checkpoint, or by a window of its family on whichever page of the list', async () => {
  const others = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`w${at}`, { lineage, handle: 'b' }]));
  const named = (store: never) => isHandleNamed(store, lineage as never, 'a');
  expect(await named(storeWith({ checkpoint: 'a', windows: {} }))).toBe(true);
  expect(await named(storeWith({ windows: others }))).toBe(false);
  expect(await named(storeWith({ windows: { ...others, last: { lineage, handle: 'a' } } }))).toBe(true);
  expect(await named(storeWith({ windows: { other: { lineage: 'l2', handle: 'a' } } })), 'of another family').toBe(
    false,
  );
  expect(await named(storeWith({ windows: { bad: new CwmError('Corrupted', 'It is damaged.') } }))).toBe(false);
});
