import { beforeEach, describe, expect, it } from 'vitest';
import type { WindowQuery } from '../../src/core/ports/windows.ts';
import type { WindowManifest } from '../../src/protocol/schemas/window.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aKvRecord,
  aManifest,
  aReceipt,
  aSession,
  contextTokens,
  nextVersion,
  projectUri,
  sessionId,
  sessionsQuery,
  windowName,
  windowsQuery,
} from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';
import type { Plain } from '../support/plain.ts';

const day = (number: number): string => `2026-03-0${number}T00:00:00.000Z`;

describe('S0-09 lists of windows', () => {
  let store: FileStore;

  const add = async (
    name: string,
    manifest: Plain<Partial<WindowManifest>> = {},
    tokens = 1,
    kvBytes: number | null = 1,
  ) => {
    const ids = Array.from({ length: tokens }, () => 7);
    await store.windows.create(
      aManifest({ name, tokens: contextTokens(ids), ...manifest }),
      ids,
      aKvRecord({ kvBytes }),
    );
  };
  const names = async (query: Partial<WindowQuery>): Promise<string[]> =>
    (await store.windows.list(windowsQuery(query))).items.map((window) => window.name);

  beforeEach(async () => {
    store = await openTestStore(await temporaryDirectory());
    await store.sessions.create(aSession());
  });

  it('a list of nothing is empty', async () => {
    expect(await store.windows.list(windowsQuery())).toEqual({ items: [], total: 0 });
  });

  it('a summary says what the manifest, the KV record and the last thaw say', async () => {
    await store.sessions.create(aSession({ id: 's0', project: 'file:///p' }));
    const made = { session: 's0', project: 'file:///made/in', parentWindow: 'w0' };
    await add('w1', { description: 'before lunch', tags: ['a', 'b'], ...made }, 3, 99);
    const summary = {
      name: 'w1',
      description: 'before lunch',
      tags: ['a', 'b'],
      session: 's0',
      mode: 'checkpoint',
      model: 'tiny',
      engine: 'embedded',
      // That of its session now.
      project: 'file:///p',
      parentWindow: 'w0',
      tokens: 3,
      kvBytes: 99,
      createdAt: '2026-03-01T10:00:00.000Z',
      pinned: false,
      lastThaw: null,
      reuse: { thaws: 0, promptTokens: 0, cachedTokens: 0 },
      lastMessage: null,
    };
    expect((await store.windows.list(windowsQuery())).items).toEqual([summary]);
    const name = windowName('w1');
    await store.receipts.append(name, aReceipt({ verdict: 'proven', at: day(2) }));
    await store.receipts.append(name, aReceipt({ verdict: 'partial', at: day(3) }));
    await store.receipts.append(name, aReceipt({ operation: 'checkpoint', verdict: 'proven', at: day(4) }));
    await store.windows.replaceKv(name, aKvRecord({ kvBytes: null }));
    expect((await store.windows.list(windowsQuery())).items).toEqual([
      {
        ...summary,
        kvBytes: null,
        lastThaw: { verdict: 'partial', at: day(3) },
        reuse: { thaws: 2, promptTokens: 10, cachedTokens: 8 },
      },
    ]);
  });

  it('each filter alone and all together', async () => {
    await store.sessions.create(aSession({ id: 's2' }));
    const model = { id: 'big', root: null, maxModelLen: null, fingerprint: null };
    await store.sessions.create(aSession({ id: 's3', project: 'file:///p' }));
    await add('a', { tags: ['x', 'y'], createdAt: day(1), session: 's3' });
    await add('b', { tags: ['x'], createdAt: day(2), session: 's2' });
    await add('c', { tags: ['y', 'x', 'z'], createdAt: day(3), model });
    expect(await names({ tags: ['x', 'y'] })).toEqual(['a', 'c']);
    expect(await names({ tags: [] })).toEqual(['a', 'b', 'c']);
    expect(await names({ session: sessionId('s2') })).toEqual(['b']);
    expect(await names({ project: projectUri('file:///p') })).toEqual(['a']);
    expect(await names({ model: 'big' })).toEqual(['c']);
    expect(await names({ createdAfter: day(1) })).toEqual(['b', 'c']);
    expect(await names({ createdBefore: '2026-03-03T01:00:00+01:00' })).toEqual(['a', 'b']);
    expect(await names({ tags: ['x'], createdAfter: day(1), model: 'big' })).toEqual(['c']);
    expect(await names({ tags: ['x'], session: sessionId('s2'), model: 'big' })).toEqual([]);
    await expect(names({ createdAfter: 'yesterday' })).rejects.toMatchObject({ code: 'CWM-1003' });
  });

  it('search takes % and _ literally and ignores case', async () => {
    await add('progress-50', { description: '100% done' });
    await add('progress_51', { description: '1000 done, Überblick' });
    expect(await names({ search: '100%' })).toEqual(['progress-50']);
    expect(await names({ search: '%' })).toEqual(['progress-50']);
    expect(await names({ search: 's_5' })).toEqual(['progress_51']);
    expect(await names({ search: 'PROGRESS' })).toEqual(['progress-50', 'progress_51']);
    expect(await names({ search: 'überBLICK' })).toEqual(['progress_51']);
    expect(await names({ search: '' })).toHaveLength(2);
    expect(await names({ search: "' OR 1=1 --" })).toEqual([]);
    expect(await names({ search: '\\' })).toEqual([]);
  });

  it('equal sort keys go by name, in both orders, so that pages neither repeat nor lose a window', async () => {
    for (const name of ['d', 'b', 'a', 'c']) await add(name, {}, 5);
    await add('e', {}, 4, null);
    expect(await names({ sortBy: 'tokens', order: 'asc' })).toEqual(['e', 'a', 'b', 'c', 'd']);
    expect(await names({ sortBy: 'tokens', order: 'desc' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await names({ sortBy: 'kvBytes', order: 'desc' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await names({ sortBy: 'createdAt', order: 'desc' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await names({ sortBy: 'name', order: 'desc' })).toEqual(['e', 'd', 'c', 'b', 'a']);
    const page = await store.windows.list(windowsQuery({ sortBy: 'tokens', order: 'desc', limit: 2, offset: 2 }));
    expect(page.items.map((window) => window.name)).toEqual(['c', 'd']);
    expect(page.total).toBe(5);
  });
});

describe('lists of sessions', () => {
  let store: FileStore;
  beforeEach(async () => {
    store = await openTestStore(await temporaryDirectory());
  });
  const ids = async (query: Parameters<typeof sessionsQuery>[0]): Promise<string[]> =>
    (await store.sessions.list(sessionsQuery(query))).items.map((session) => session.id);

  it('the latest change comes first, equal stamps go by id', async () => {
    await store.sessions.create(aSession({ id: 'b', updatedAt: day(1) }));
    await store.sessions.create(aSession({ id: 'a', updatedAt: day(1) }));
    await store.sessions.create(aSession({ id: 'c', updatedAt: day(2) }));
    expect(await ids({})).toEqual(['c', 'a', 'b']);
    await store.sessions.update(nextVersion(aSession({ id: 'b' }), { updatedAt: day(3) }));
    expect(await ids({})).toEqual(['b', 'c', 'a']);
    expect(await ids({ limit: 1, offset: 1 })).toEqual(['c']);
    expect((await store.sessions.list(sessionsQuery({ limit: 1 }))).total).toBe(3);
  });

  it('filters by project, lifecycle, model and a search in title and id', async () => {
    await store.sessions.create(aSession({ id: 'a', title: 'Fix 50%', project: 'file:///p' }));
    await store.sessions.create(aSession({ id: 'b', title: 'Other', lifecycle: 'frozen', model: null }));
    expect(await ids({ project: projectUri('file:///p') })).toEqual(['a']);
    expect(await ids({ lifecycle: 'frozen' })).toEqual(['b']);
    expect(await ids({ model: 'tiny' })).toEqual(['a']);
    expect(await ids({ search: '0%' })).toEqual(['a']);
    expect(await ids({ search: 'B' })).toEqual(['b']);
    expect(await ids({ search: '_' })).toEqual([]);
  });

  it('a listed session is the whole record', async () => {
    const session = aSession({ thawedFrom: { window: 'w', verdict: 'proven' } });
    await store.sessions.create(session);
    expect((await store.sessions.list(sessionsQuery())).items).toEqual([session]);
  });
});
