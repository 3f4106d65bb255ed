import { symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { BlockFiles } from '../../src/store/space/blockFiles.ts';
import {
  aKvRecord,
  aManifest,
  aMessage,
  aSession,
  contextTokens,
  mainBranch,
  messageId,
  sessionId,
  someIds,
  windowName,
  windowsQuery,
} from './builders.ts';
import { FaultyFiles, type FaultKind } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe } from './operations.ts';
import { FakeClock, openTestStore, repair, temporaryDirectory } from './testStore.ts';

const root = '/home/me/store';
const signal = new AbortController().signal;
const w0 = windowName('w0');
const dayMs = 24 * 60 * 60 * 1000;

type Step = (store: FileStore) => Promise<unknown>;

async function prepared(setUp: Step): Promise<{ memory: MemoryFiles; faulty: FaultyFiles; store: FileStore }> {
  const memory = new MemoryFiles();
  const faulty = new FaultyFiles(memory);
  const store = await openTestStore(root, { files: faulty.files });
  await fill(store);
  await setUp(store);
  faulty.heal();
  return { memory, faulty, store };
}

async function stateLater(memory: MemoryFiles): Promise<Record<string, unknown>> {
  const store = await openTestStore(root, { files: memory });
  const state = { ...(await observe(store)), trash: await store.trash.list() };
  expect((await store.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
  await store.close();
  return state;
}

const trashed = async (store: FileStore): Promise<string> => (await store.trash.list())[0]!.id;
const restoreLast: Step = async (store) => store.trash.restore(await trashed(store));
const changes: [name: string, setUp: Step, change: Step][] = [
  ['a window is unpinned', (store) => store.windows.setPinned(w0, true), (store) => store.windows.setPinned(w0, false)],
  ['a window is restored', (store) => store.windows.delete(w0), restoreLast],
  ['a session is restored', (store) => store.sessions.delete(sessionId('s2')), restoreLast],
];

describe.each(changes)('EC-052 when %s', (_, setUp, change) => {
  it.each<FaultKind>(['before', 'torn', 'after'])(
    'and a write fails (%s), nothing has changed, and it can be done again',
    async (kind) => {
      const whole = await prepared(setUp);
      await change(whole.store);
      const wanted = await observe(whole.store);
      expect(whole.faulty.seen.length).toBeGreaterThan(0);
      for (const at of whole.faulty.seen.keys()) {
        const { memory, faulty, store } = await prepared(setUp);
        const tree = memory.tree(root);
        faulty.failAt(at, kind, 'EIO');
        await expect(change(store), `change ${at}`).rejects.toMatchObject({ code: 'CWM-4001' });
        faulty.heal();
        expect(memory.tree(root), `after a failure of change ${at}`).toEqual(tree);
        await change(store);
        expect(await observe(store)).toEqual(wanted);
      }
    },
  );

  it.each(['kill -9', 'power cut'])('a %s leaves it done or not done', async (ending) => {
    const end = ({ memory }: { memory: MemoryFiles }): void => {
      if (ending === 'power cut') memory.cutPower();
    };
    const [before, after] = [await prepared(setUp), await prepared(setUp)];
    end(before);
    await change(after.store);
    const count = after.faulty.seen.length;
    end(after);
    const states = [await stateLater(before.memory), await stateLater(after.memory)];
    for (let at = 0; at < count; at++) {
      const dying = await prepared(setUp);
      dying.faulty.dieAt(at, 'after');
      await change(dying.store).catch(() => undefined);
      end(dying);
      const state = await stateLater(dying.memory);
      // A directory that was moved may stand in both places: better twice than nowhere.
      expect(
        states.map((each) => ({ ...each, trash: null })),
        `after change ${at}`,
      ).toContainEqual({ ...state, trash: null });
    }
  });
});

describe('pins', () => {
  it('S0-50 lie beside the window: they survive a restart, show in the list, and do not pass to a window of the same name', async () => {
    const { memory, store } = await prepared(async () => undefined);
    await store.windows.setPinned(w0, true);
    await store.windows.setPinned(w0, true);
    await store.close();
    const again = await openTestStore(root, { files: memory });
    expect(await again.windows.isPinned(w0)).toBe(true);
    expect((await again.windows.list(windowsQuery())).items).toMatchObject([{ name: 'w0', pinned: true }]);
    expect(await again.windows.all()).toMatchObject([{ name: 'w0', pinned: true }]);
    await again.windows.delete(w0);
    await again.windows.create(aManifest({ name: 'w0' }), someIds, aKvRecord());
    expect(await again.windows.isPinned(w0)).toBe(false);
    await expect(again.windows.setPinned(windowName('nothing'), true)).rejects.toMatchObject({ code: 'CWM-2002' });
  });
});

describe('S4-05 the trash', () => {
  it('tells what is in it and gives it back as it was', async () => {
    const { store } = await prepared((store) => store.windows.setPinned(w0, true));
    const before = await observe(store);
    await store.windows.delete(w0);
    const [item] = await store.trash.list();
    expect(item).toMatchObject({
      kind: 'window',
      name: 'w0',
      deletedAt: '2026-03-01T10:00:00.000Z',
      expiresAt: '2026-03-08T10:00:00.000Z',
    });
    expect(item!.sizeBytes).toBeGreaterThan(0);
    await store.trash.restore(item!.id);
    expect(await observe(store)).toEqual(before);
    expect(await store.trash.list()).toEqual([]);
    await expect(store.trash.restore(item!.id)).rejects.toMatchObject({ code: 'CWM-2009' });
  });

  it('restores nothing over an existing item, nor a window without its session', async () => {
    const { store } = await prepared((store) => store.windows.delete(w0));
    await store.windows.create(aManifest({ name: 'w0' }), someIds, aKvRecord());
    const window = await trashed(store);
    await expect(store.trash.restore(window)).rejects.toMatchObject({ code: 'CWM-3003' });
    await store.windows.delete(w0);
    await store.sessions.delete(sessionId('s1'));
    const session = (await store.trash.list()).find((item) => item.kind === 'session')!.id;
    await expect(store.trash.restore(window)).rejects.toMatchObject({ code: 'CWM-2001' });
    await store.sessions.create(aSession());
    await expect(store.trash.restore(session)).rejects.toMatchObject({ code: 'CWM-3004' });
    await store.sessions.delete(sessionId('s1'));
    await store.trash.restore(session);
    await store.trash.restore(window);
    expect(await store.messages.load(sessionId('s1'), [messageId('m1')])).toHaveLength(1);
    expect(await store.windows.loadTokens(w0)).toEqual(someIds);
  });

  it('tells two of one name apart, and takes no path for an id', async () => {
    const { store } = await prepared((store) => store.windows.delete(w0));
    await store.windows.create(aManifest({ name: 'w0', description: 'the second' }), someIds, aKvRecord());
    await store.windows.delete(w0);
    const items = await store.trash.list();
    expect(items.map(({ name }) => name)).toEqual(['w0', 'w0']);
    await store.trash.restore(items.find(({ id }) => id.endsWith('.2'))!.id);
    expect(await store.windows.get(w0)).toMatchObject({ description: 'the second' });
    for (const id of ['../windows/w0', '', '.', `${items[0]!.id}/.`]) {
      await expect(store.trash.restore(id)).rejects.toMatchObject({ code: 'CWM-2009' });
    }
  });

  it('is emptied of what is older than seven days, or of everything, and frees what it said', async () => {
    const clock = new FakeClock();
    const memory = new MemoryFiles();
    const store = await openTestStore(root, { files: memory, clock });
    await fill(store);
    await store.windows.delete(w0);
    clock.advance(7 * dayMs);
    await store.sessions.delete(sessionId('s2'));
    expect(await store.trash.empty('expired')).toEqual([]);
    clock.advance(1);
    expect(await store.trash.empty('expired')).toMatchObject([{ name: 'w0' }]);
    const [session] = await store.trash.list();
    const { trashBytes } = await store.space.measure(signal);
    expect(session).toMatchObject({ kind: 'session', name: 's2', sizeBytes: trashBytes });
    expect(await store.trash.empty('all')).toEqual([session]);
    expect(await store.space.measure(signal)).toMatchObject({ trashBytes: 0 });
    expect(await memory.list(`${root}/tmp`)).toEqual([]);
  });

  it('two clients can empty it at once without a failure, and removed items cannot be restored', async () => {
    const { store } = await prepared(async (store) => {
      await store.windows.delete(w0);
      await store.sessions.delete(sessionId('s2'));
    });
    const [window, session] = await store.trash.list();
    const removed = await Promise.all([store.trash.empty('all'), store.trash.empty('all')]);
    expect(removed.flat()).toHaveLength(2);
    for (const item of [window, session]) {
      await expect(store.trash.restore(item!.id)).rejects.toMatchObject({ code: 'CWM-2009' });
    }
  });

  it('a crash while it is emptied leaves each thing whole in it, or gone', async () => {
    const setUp: Step = async (store) => {
      await store.windows.delete(w0);
      await store.sessions.delete(sessionId('s2'));
    };
    const whole = await prepared(setUp);
    await whole.store.trash.empty('all');
    for (const at of whole.faulty.seen.keys()) {
      const { memory, faulty, store } = await prepared(setUp);
      faulty.dieAt(at, 'after');
      await store.trash.empty('all').catch(() => undefined);
      memory.cutPower();
      const again = await openTestStore(root, { files: memory });
      for (const { id, kind, name } of await again.trash.list()) {
        await again.trash.restore(id);
        if (kind === 'window') expect(await again.windows.loadTokens(windowName(name))).toEqual(someIds);
        else expect(await again.sessions.get(sessionId(name))).not.toBeNull();
      }
      expect(await memory.list(`${root}/tmp`)).toEqual([]);
      await again.close();
    }
  });
});

describe('measured sizes', () => {
  it('a message that two sessions share counts once, until one of them alone has it', async () => {
    const { store } = await prepared(async () => undefined);
    const text = 'x'.repeat(10_000);
    await store.messages.append(sessionId('s1'), [aMessage('m2', 2, text)]);
    const before = await store.space.measure(signal);
    await store.sessions.create(aSession({ id: 's3', tokens: contextTokens(someIds), branches: mainBranch(['m2']) }), {
      from: sessionId('s1'),
      messageIds: [messageId('m2')],
      tokenIds: someIds,
    });
    const shared = await store.space.measure(signal);
    // A record, a line of the index, token ids, no text.
    expect(shared.recordBytes - before.recordBytes).toBeLessThan(2000);
    await store.sessions.delete(sessionId('s3'));
    const [item] = await store.trash.list();
    expect(item!.sizeBytes).toBeLessThan(5000);
    expect((await store.space.measure(signal)).trashBytes).toBe(item!.sizeBytes);
    await store.trash.empty('all');
    expect((await store.space.measure(signal)).recordBytes).toBeGreaterThan(10_000);
  });

  it('every byte of the storage directory is in exactly one of the sums', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await fill(store);
    await store.windows.list(windowsQuery());
    await store.sessions.create(aSession({ id: 's3' }));
    await store.sessions.delete(sessionId('s3'));
    await diskFiles.create(join(directory, 'backend.log'), Buffer.alloc(321));
    await repair(store);
    const { windowBytes, ...sums } = await store.space.measure(signal);
    expect(windowBytes.get('w0')).toBe(await bytesBelow(join(directory, 'windows/w0')));
    expect(sums.trashBytes).toBe(await bytesBelow(join(directory, 'trash')));
    const all = sums.recordBytes + sums.trashBytes + sums.quarantineBytes + sums.otherBytes;
    expect(all).toBe(await bytesBelow(directory));
    expect(await store.space.freeBytes()).toBeGreaterThan(0);
  });
});

/** A file with several names counts once. */
async function bytesBelow(directory: string, seen = new Set<string>()): Promise<number> {
  let bytes = 0;
  for (const { name, kind, sizeBytes, inode } of await diskFiles.entries(directory)) {
    if (kind === 'directory') bytes += await bytesBelow(join(directory, name), seen);
    else if (!seen.has(inode)) bytes += sizeBytes;
    seen.add(inode);
  }
  return bytes;
}

describe('the KV cache of the embedded engine', () => {
  const [model, older] = ['a'.repeat(32), 'b'.repeat(32)];
  const hashOf = (digit: string): string => digit.repeat(64);

  async function cacheOf(files: readonly (readonly [path: string, sizeBytes: number])[]) {
    const kv = join(await temporaryDirectory(), 'kv');
    for (const [path, sizeBytes] of files) {
      await diskFiles.makeDirectory(join(kv, path, '..'));
      await diskFiles.create(join(kv, path), Buffer.alloc(sizeBytes));
    }
    return { kv, cache: new BlockFiles(diskFiles, kv) };
  }

  it('is measured and listed: blocks by their names, all else as the rest', async () => {
    const { kv, cache } = await cacheOf([
      [`${model}/11/${hashOf('1')}.kv`, 100],
      [`${model}/22/${hashOf('2')}.kv`, 200],
      [`${older}/11/${hashOf('1')}.kv`, 50],
      [`${model}/22/${hashOf('2')}.state`, 400],
      [`${model}/config.json`, 1],
      [`${model}/22/notes.txt`, 2],
      ['models/noise.gguf', 4],
      ['run-17/sequence.state', 8],
      ['CACHEDIR.TAG', 16],
    ]);
    await utimes(join(kv, model, '11', `${hashOf('1')}.kv`), 1000, 1000);
    expect(await cache.sizes(signal)).toEqual({ blockBytes: 750, otherBytes: 31 });
    const blocks = (await cache.list(signal)).sort((a, b) => a.sizeBytes - b.sizeBytes);
    expect(blocks).toMatchObject([
      { hash: hashOf('1'), namespace: older, sizeBytes: 50 },
      { hash: hashOf('1'), namespace: model, sizeBytes: 100, writtenAtMs: 1_000_000 },
      { hash: hashOf('2'), namespace: model, sizeBytes: 200 },
      { hash: hashOf('2'), namespace: model, sizeBytes: 400, isState: true },
    ]);
    expect(await cache.delete(blocks.slice(3))).toBe(400);
    expect(await cache.sizes(signal)).toEqual({ blockBytes: 350, otherBytes: 31 });
  });

  it('is nothing before the engine was started once', async () => {
    const { cache } = await cacheOf([]);
    expect(await cache.sizes(signal)).toEqual({ blockBytes: 0, otherBytes: 0 });
    expect(await cache.list(signal)).toEqual([]);
  });

  it('what others write and delete is seen at once', async () => {
    const { kv, cache } = await cacheOf([[`${model}/11/${hashOf('1')}.kv`, 100]]);
    const folder = join(kv, model, '11');
    // Long ago, so that the sizes are remembered.
    await utimes(folder, 1000, 1000);
    const one = { blockBytes: 100, otherBytes: 0 };
    expect(await cache.sizes(signal)).toEqual(one);
    for (let round = 0; round < 20; round++) {
      const other = join(folder, `11${'2'.repeat(62)}.kv`);
      await diskFiles.create(other, Buffer.alloc(7));
      expect(await cache.sizes(signal)).toEqual({ blockBytes: 107, otherBytes: 0 });
      await diskFiles.remove(other);
      expect(await cache.sizes(signal)).toEqual(one);
    }
  });

  it('deletes the named blocks, and accepts blocks that are already gone', async () => {
    const { kv, cache } = await cacheOf([
      [`${model}/11/${hashOf('1')}.kv`, 100],
      [`${model}/22/${hashOf('2')}.kv`, 200],
    ]);
    const blocks = await cache.list(signal);
    await diskFiles.remove(join(kv, model, '22', `${hashOf('2')}.kv`));
    expect(await cache.delete(blocks)).toBe(100);
    expect(await cache.list(signal)).toEqual([]);
    expect(await cache.delete(blocks)).toBe(0);
  });

  it('S0-24 nothing outside of it can be named, and no link leads out of it', async () => {
    const { kv, cache } = await cacheOf([['models/noise.gguf', 4]]);
    const block = { hash: hashOf('1'), namespace: model, sizeBytes: 1, writtenAtMs: 0 };
    for (const bad of [
      { ...block, namespace: '..' },
      { ...block, hash: `../../${hashOf('1').slice(6)}` },
    ]) {
      await expect(cache.delete([bad])).rejects.toMatchObject({ code: 'CWM-1003' });
    }
    const elsewhere = await cacheOf([[`11/${hashOf('1')}.kv`, 100]]);
    await symlink(elsewhere.kv, join(kv, model));
    expect(await cache.list(signal)).toEqual([]);
    expect(await cache.sizes(signal)).toEqual({ blockBytes: 0, otherBytes: 4 });
    const linked = new BlockFiles(diskFiles, join(kv, model));
    await expect(linked.sizes(signal)).rejects.toMatchObject({ code: 'CWM-8001' });
  });
});
