import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WindowQuery } from '../../src/core/ports/windows.ts';
import type { Session } from '../../src/protocol/schemas/session.ts';
import type { WindowSummary } from '../../src/protocol/schemas/window.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aBlock,
  aKvRecord,
  aManifest,
  aReceipt,
  aSession,
  contextTokens,
  nextVersion,
  sessionId,
  sessionsQuery,
  someIds,
  windowName,
  windowsQuery,
} from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill } from './operations.ts';
import { openTestStore, repair, temporaryDirectory } from './testStore.ts';
import { fc } from '../support/fc.ts';

const signal = new AbortController().signal;
const problemsOf = async (store: FileStore): Promise<string[]> =>
  (await store.check.verify(signal)).flatMap((step) => step.problems);

describe('S0-22 EC-051 the index on disk', () => {
  let directory: string;
  let image: string;
  let store: FileStore;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    image = join(directory, 'index.sqlite');
    store = await openTestStore(directory);
    await fill(store);
  });

  const lists = async (of: FileStore) => [
    await of.windows.list(windowsQuery()),
    await of.sessions.list(sessionsQuery()),
  ];
  const expectWindows = async (of: FileStore, names: readonly string[]): Promise<void> => {
    expect((await of.windows.list(windowsQuery())).items.map((window) => window.name)).toEqual(names);
  };

  it('is written when the store closes, and is a SQLite database', async () => {
    await lists(store);
    await store.close();
    expect((await readFile(image)).toString('latin1', 0, 15)).toBe('SQLite format 3');
  });

  const damages: Record<string, () => Promise<void>> = {
    missing: () => rm(image),
    empty: () => writeFile(image, ''),
    'no database': () => writeFile(image, 'something else'),
    'damaged by one bit': async () => {
      const bytes = await readFile(image);
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(image, bytes);
    },
    'cut in half': async () => writeFile(image, (await readFile(image)).subarray(0, 5000)),
  };
  it.each(Object.keys(damages))('when %s is made again, equal to the one before', async (damage) => {
    const before = await lists(store);
    await store.close();
    await damages[damage]!();
    const again = await openTestStore(directory);
    expect(await lists(again)).toEqual(before);
    expect(await problemsOf(again)).toEqual([]);
    expect(again.problems).toHaveLength(damage === 'missing' ? 0 : 1);
  });

  it('is not believed when it is older than the files', async () => {
    await lists(store);
    await store.close();
    await copyFile(image, join(directory, 'old'));

    const later = await openTestStore(directory);
    await later.windows.create(aManifest({ name: 'new' }), someIds, aKvRecord());
    await later.windows.create(aManifest({ name: 'changed' }), someIds, aKvRecord());
    await later.windows.delete(windowName('w0'));
    await later.sessions.delete(sessionId('s2'));
    await lists(later);
    await later.close();
    await copyFile(join(directory, 'old'), image);

    const again = await openTestStore(directory);
    await expectWindows(again, ['changed', 'new']);
    expect((await again.sessions.list(sessionsQuery())).items.map((session) => session.id)).toEqual(['s1']);
    expect(await problemsOf(again)).toEqual([]);
  });

  it.each([
    ['a receipt', (of: FileStore) => of.receipts.append(windowName('w0'), aReceipt({ verdict: 'damaged' }))],
    [
      'a KV record',
      (of: FileStore) => of.windows.replaceKv(windowName('w0'), aKvRecord({ kvBytes: 5, blocks: [aBlock('cc')] })),
    ],
    [
      'a session',
      (of: FileStore) =>
        of.sessions.update(nextVersion(aSession({ version: 2, tokens: contextTokens(someIds) }), { title: 'Renamed' })),
    ],
  ])('shows %s that changed after the image was saved by a process that was killed', async (_, change) => {
    await lists(store);
    await store.close();
    const killed = await openTestStore(directory);
    await change(killed);
    const wanted = await lists(killed);
    const again = await openTestStore(directory);
    expect(await lists(again)).toEqual(wanted);
  });

  it('shows what was deleted or put back by hand while no store was open', async () => {
    await lists(store);
    await store.close();
    await rm(join(directory, 'windows/w0'), { recursive: true });
    const again = await openTestStore(directory);
    await expectWindows(again, []);
  });

  it('is not needed for anything but lists: without SQLite all the rest works', async () => {
    await store.windows.create(aManifest({ name: 'w1' }), someIds, aKvRecord({ blocks: [aBlock('aa')] }));
    await store.close();
    const without = await openTestStore(directory, { sqlWasmPath: join(directory, 'no.wasm') });
    await expect(without.windows.list(windowsQuery())).rejects.toMatchObject({ code: 'CWM-4002' });
    await expect(without.sessions.list(sessionsQuery())).rejects.toMatchObject({ code: 'CWM-4002' });
    expect(await without.windows.loadTokens(windowName('w0'))).toEqual(someIds);
    expect(await without.blocks.heldByOthers(['aa', 'bb'], windowName('w0'))).toEqual(new Set(['aa', 'bb']));
    await without.windows.create(aManifest({ name: 'w2' }), someIds, aKvRecord());
    expect(await problemsOf(without)).toEqual([expect.stringContaining('index')]);
    await without.close();
    await expectWindows(await openTestStore(directory), ['w0', 'w1', 'w2']);
  });

  it('is not saved again when nothing changed', async () => {
    const files = new MemoryFiles();
    const first = await openTestStore('/store', { files });
    await fill(first);
    await lists(first);
    await first.close();
    const saved = await files.stat('/store/index.sqlite');
    const again = await openTestStore('/store', { files });
    await lists(again);
    await again.close();
    expect(await files.stat('/store/index.sqlite')).toEqual(saved);
  });

  it('can be loaded ahead, and a failure of that is met by the first list', async () => {
    await store.close();
    const without = await openTestStore(directory, { sqlWasmPath: join(directory, 'no.wasm') });
    await without.warmIndex();
    await expect(without.windows.list(windowsQuery())).rejects.toMatchObject({ code: 'CWM-4002' });
    const again = await openTestStore(directory);
    await again.warmIndex();
    await again.windows.create(aManifest({ name: 'w1' }), someIds, aKvRecord());
    await expectWindows(again, ['w0', 'w1']);
  });

  it('can be repaired on demand', async () => {
    const before = await lists(store);
    await repair(store);
    expect(await lists(store)).toEqual(before);
    expect((await stat(image)).size).toBeGreaterThan(0);
  });
});

const names = ['w0', 'w1', 'w2', 'w3'] as const;
const ids = ['s0', 's1', 's2'] as const;

type Step =
  | { do: 'create'; name: string; tags: string[]; tokens: number; kvBytes: number | null; description: string }
  | { do: 'delete'; name: string }
  | { do: 'receipt'; name: string }
  | { do: 'pin'; name: string; pinned: boolean }
  | { do: 'kv'; name: string; kvBytes: number | null }
  | { do: 'session' | 'touch' | 'dropSession'; id: string; title: string }
  | { do: 'list' | 'reopen' | 'kill' | 'loseIndex' | 'oldIndex' | 'saveIndex' };

const text = fc.constantFrom('', 'a', '50%', 'x_y', 'Ärger', 'B a');
const kvBytes = fc.option(fc.nat(9));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      name: fc.constantFrom(...names),
      tags: fc.uniqueArray(fc.constantFrom('t1', 't2', 't3')),
      tokens: fc.integer({ min: 1, max: 4 }),
      kvBytes,
      description: text,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), name: fc.constantFrom(...names) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('receipt' as const), name: fc.constantFrom(...names) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pin' as const), name: fc.constantFrom(...names), pinned: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kv' as const), name: fc.constantFrom(...names), kvBytes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('session', 'touch', 'dropSession'),
      id: fc.constantFrom(...ids),
      title: text,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('list', 'reopen', 'kill', 'loseIndex', 'oldIndex', 'saveIndex') }),
  },
);

/** What the lists must show, kept in the simplest way there is. */
class Model {
  readonly windows = new Map<string, WindowSummary>();
  readonly sessions = new Map<string, Session>();

  list(query: WindowQuery): string[] {
    const key = (window: WindowSummary): number | string =>
      query.sortBy === 'name' ? window.name : (window[query.sortBy] ?? -1);
    const sign = query.order === 'desc' ? -1 : 1;
    return [...this.windows.values()]
      .filter((window) => query.tags?.every((tag) => window.tags.includes(tag)) ?? true)
      .filter((window) =>
        [window.name, window.description].some((text) =>
          text.toLowerCase().includes((query.search ?? '').toLowerCase()),
        ),
      )
      .sort((a, b) => {
        if (key(a) !== key(b)) return key(a) < key(b) ? -sign : sign;
        return a.name < b.name ? -1 : 1;
      })
      .map((window) => window.name);
  }
}

describe('the index against a model', () => {
  const root = '/store';
  const queries = fc.array(
    fc.record(
      {
        sortBy: fc.constantFrom('name', 'tokens', 'kvBytes' as const),
        order: fc.constantFrom('asc', 'desc' as const),
        search: text,
        tags: fc.subarray(['t1', 't2', 't3']),
      },
      { requiredKeys: ['sortBy', 'order'] },
    ),
    { minLength: 3, maxLength: 6 },
  );

  it('S4-05 lists what the files hold after any sequence of changes, restarts and losses of the index', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), queries, async (steps, asked) => {
        const files = new MemoryFiles();
        const model = new Model();
        let store = await openTestStore(root, { files });
        let saved: Uint8Array | null = null;
        const image = `${root}/index.sqlite`;
        const readImage = async (): Promise<Uint8Array | null> =>
          (await files.stat(image)) ? Uint8Array.from(await files.read(image)) : null;
        for (const step of steps) {
          switch (step.do) {
            case 'list':
              await store.windows.list(windowsQuery());
              break;
            case 'reopen':
              await store.close();
              store = await openTestStore(root, { files });
              break;
            case 'kill':
              store = await openTestStore(root, { files });
              break;
            case 'loseIndex':
              await store.close();
              if (await files.stat(image)) await files.remove(image);
              store = await openTestStore(root, { files });
              break;
            case 'saveIndex':
              await repair(store);
              saved = await readImage();
              break;
            case 'oldIndex':
              await store.close();
              if (saved) {
                if (await files.stat(image)) await files.remove(image);
                await files.create(image, saved);
              }
              store = await openTestStore(root, { files });
              break;
            default:
              await apply(store, model, step);
          }
        }
        for (const query of asked) {
          const found = await store.windows.list(windowsQuery(query));
          expect(found.items.map((window) => window.name)).toEqual(model.list(windowsQuery(query)));
        }
        const { items } = await store.windows.list(windowsQuery());
        expect(items).toEqual([...model.windows.values()].sort((a, b) => (a.name < b.name ? -1 : 1)));
        const sessions = (await store.sessions.list(sessionsQuery())).items;
        expect(sessions).toEqual([...model.sessions.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
        const steps2 = await store.check.verify(signal);
        expect(steps2.find(({ step }) => step === 'index equals files')?.problems).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

/** Does the step in both; what the store refuses does not happen in the model. */
async function apply(
  store: FileStore,
  model: Model,
  step: Exclude<Step, { do: 'list' | 'reopen' | 'kill' | 'loseIndex' | 'oldIndex' | 'saveIndex' }>,
): Promise<void> {
  switch (step.do) {
    case 'create': {
      const session = model.sessions.values().next().value?.id;
      if (session === undefined || model.windows.has(step.name)) return;
      const { tags, description } = step;
      const name = windowName(step.name);
      const tokenIds = Array.from({ length: step.tokens }, () => 1);
      const manifest = aManifest({ name, tags, description, session, tokens: contextTokens(tokenIds) });
      await store.windows.create(manifest, tokenIds, aKvRecord({ kvBytes: step.kvBytes }));
      const { mode, model: served, engine, project, parentWindow, createdAt } = manifest;
      model.windows.set(name, {
        name,
        tags,
        description,
        session,
        mode,
        engine,
        project,
        parentWindow,
        lastMessage: manifest.messageIds.at(-1) ?? null,
        createdAt,
        model: served.id,
        tokens: step.tokens,
        kvBytes: step.kvBytes,
        pinned: false,
        lastThaw: null,
        reuse: { thaws: 0, promptTokens: 0, cachedTokens: 0 },
      });
      return;
    }
    case 'session': {
      if (model.sessions.has(step.id)) return;
      const session = aSession({ id: step.id, title: step.title });
      await store.sessions.create(session);
      model.sessions.set(step.id, session);
      return;
    }
    case 'touch': {
      const session = model.sessions.get(step.id);
      if (!session) return;
      const next = nextVersion(session, { title: step.title });
      await store.sessions.update(next);
      model.sessions.set(step.id, next);
      return;
    }
    case 'dropSession':
      if (!model.sessions.delete(step.id)) return;
      await store.sessions.delete(sessionId(step.id));
      return;
    default: {
      const window = model.windows.get(step.name);
      if (!window) return;
      const name = windowName(step.name);
      if (step.do === 'delete') {
        await store.windows.delete(name);
        model.windows.delete(step.name);
      } else if (step.do === 'receipt') {
        const receipt = aReceipt({ verdict: 'rebuilt', promptTokens: 5, cachedTokens: 4 });
        await store.receipts.append(name, receipt);
        const { thaws, promptTokens, cachedTokens } = window.reuse;
        const reuse = { thaws: thaws + 1, promptTokens: promptTokens + 5, cachedTokens: cachedTokens + 4 };
        model.windows.set(step.name, { ...window, lastThaw: { verdict: 'rebuilt', at: receipt.at }, reuse });
      } else if (step.do === 'pin') {
        await store.windows.setPinned(name, step.pinned);
        model.windows.set(step.name, { ...window, pinned: step.pinned });
      } else {
        await store.windows.replaceKv(name, aKvRecord({ kvBytes: step.kvBytes }));
        model.windows.set(step.name, { ...window, kvBytes: step.kvBytes });
      }
    }
  }
}
