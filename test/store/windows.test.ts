import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aBlock,
  aKvRecord,
  aManifest,
  aReceipt,
  aSession,
  contextTokens,
  lineageId,
  projectUri,
  sessionId,
  someIds,
  windowName,
} from './builders.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { fill } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

describe('windows', () => {
  let directory: string;
  let store: FileStore;
  const name = windowName('w1');

  beforeEach(async () => {
    directory = await temporaryDirectory();
    store = await openTestStore(directory);
    await store.sessions.create(aSession());
  });

  it('S0-21 a window with its token ids and KV record is the same after the store was opened again', async () => {
    expect(await store.windows.get(name)).toBeNull();
    await store.windows.create(aManifest(), someIds, aKvRecord());
    await store.close();
    const again = await openTestStore(directory);
    expect(await again.windows.get(name)).toEqual(aManifest());
    expect(await again.windows.loadTokens(name)).toEqual(someIds);
    expect(await again.windows.loadKv(name)).toEqual(aKvRecord());
    expect(await again.receipts.list(name)).toEqual([]);
  });

  it('a taken name is refused and the window that has it stays', async () => {
    await store.windows.create(aManifest(), someIds, aKvRecord());
    const other = aManifest({ tokens: contextTokens([9]), description: 'other' });
    await expect(store.windows.create(other, [9], aKvRecord())).rejects.toMatchObject({ code: 'CWM-3003' });
    expect(await store.windows.get(name)).toEqual(aManifest());
    expect(await store.windows.loadTokens(name)).toEqual(someIds);
  });

  it('EC-001 of two windows created at once under one name exactly one wins, whole', async () => {
    await store.sessions.create(aSession({ id: 's2' }));
    const ids = [[1], [2]] as const;
    const results = await Promise.allSettled(
      ids.map((own, index) =>
        store.windows.create(
          aManifest({ session: `s${index + 1}`, tokens: contextTokens(own) }),
          own,
          aKvRecord({ kvBytes: own[0] }),
        ),
      ),
    );
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')?.reason).toMatchObject({ code: 'CWM-3003' });
    const winner = results.findIndex((result) => result.status === 'fulfilled');
    expect(await store.windows.loadTokens(name)).toEqual(ids[winner]);
    expect((await store.windows.loadKv(name)).kvBytes).toBe(ids[winner]![0]);
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  });

  it('S0-22 a window of a session that does not exist is refused', async () => {
    const orphan = store.windows.create(aManifest({ session: 's9' }), someIds, aKvRecord());
    await expect(orphan).rejects.toMatchObject({ code: 'CWM-2001' });
    expect(await store.windows.get(name)).toBeNull();
  });

  it('token ids that are not those of the manifest are refused', async () => {
    await expect(store.windows.create(aManifest(), [1], aKvRecord())).rejects.toMatchObject({ code: 'CWM-9001' });
    expect(await store.windows.get(name)).toBeNull();
  });

  it('a replaced KV record comes back whole and leaves no old block list', async () => {
    await store.windows.create(aManifest(), someIds, aKvRecord());
    const next = aKvRecord({ saltGeneration: 1, kvBytes: null, blocks: [aBlock('cc')] });
    await store.windows.replaceKv(name, next);
    expect(await store.windows.loadKv(name)).toEqual(next);
    const { blocks: _, ...head } = next;
    expect(await store.windows.loadKvHead(name)).toEqual(head);
    await store.windows.replaceKv(name, next);
    expect(await store.windows.loadKv(name)).toEqual(next);
    const files = await readdir(join(directory, 'windows/w1'));
    expect(files.filter((file) => file.startsWith('blocks-'))).toHaveLength(1);
  });

  it('receipts are stored, oldest first', async () => {
    await store.windows.create(aManifest(), someIds, aKvRecord());
    await store.receipts.append(name, aReceipt({ operation: 'freeze' }));
    await store.receipts.append(name, aReceipt({ verdict: 'partial' }));
    expect(await store.receipts.list(name)).toEqual([
      aReceipt({ operation: 'freeze' }),
      aReceipt({ verdict: 'partial' }),
    ]);
  });

  it('every call that names an unknown window says so', async () => {
    const unknown = { code: 'CWM-2002' };
    await expect(store.windows.loadTokens(name)).rejects.toMatchObject(unknown);
    await expect(store.windows.loadKv(name)).rejects.toMatchObject(unknown);
    await expect(store.windows.loadKvHead(name)).rejects.toMatchObject(unknown);
    await expect(store.windows.replaceKv(name, aKvRecord())).rejects.toMatchObject(unknown);
    await expect(store.blocks.heldByOthers(['aa'], name)).rejects.toMatchObject(unknown);
    await expect(store.blocks.checksumsOfOthers(['aa'], name)).rejects.toMatchObject(unknown);
    await expect(store.receipts.append(name, aReceipt())).rejects.toMatchObject(unknown);
    await expect(store.receipts.list(name)).rejects.toMatchObject(unknown);
    await expect(store.windows.delete(name)).rejects.toMatchObject(unknown);
  });

  it('a deleted window is gone from the store and whole in the trash, and its name is free', async () => {
    await store.windows.create(aManifest(), someIds, aKvRecord());
    await store.receipts.append(name, aReceipt());
    await store.windows.delete(name);
    expect(await store.windows.get(name)).toBeNull();
    const [trashed] = await readdir(join(directory, 'trash'));
    expect(trashed).toMatch(/^\d{8}T\d{9}Z-window-w1$/);
    expect(await readdir(join(directory, 'trash', trashed!))).toContain('manifest.json');
    await store.windows.create(aManifest({ description: 'second' }), someIds, aKvRecord());
    await store.receipts.append(name, aReceipt({ verdict: 'rebuilt' }));
    expect(await store.receipts.list(name)).toEqual([aReceipt({ verdict: 'rebuilt' })]);
    await store.windows.delete(name);
    expect(await readdir(join(directory, 'trash'))).toHaveLength(2);
  });

  it('a window that is deleted while its token ids are read is deleted after that, and not damaged', async () => {
    let onRead = async (_path: string): Promise<void> => {};
    let deleting: Promise<void> | undefined;
    const files: Files = {
      ...diskFiles,
      read: async (path) => {
        await onRead(path);
        return diskFiles.read(path);
      },
    };
    const store = await openTestStore(await temporaryDirectory(), { files });
    await fill(store);
    onRead = async (path) => {
      if (!path.endsWith('tokens.u32')) return;
      onRead = async () => {};
      deleting = store.windows.delete(windowName('w0'));
    };
    expect(await store.windows.loadTokens(windowName('w0'))).toEqual(someIds);
    await deleting;
    await expect(store.windows.loadTokens(windowName('w0'))).rejects.toMatchObject({ code: 'CWM-2002' });
    expect(store.problems).toEqual([]);
  });

  it('S0-26 a block is held by others while another window of the lineage lists it', async () => {
    const blocks = (...hashes: string[]) => aKvRecord({ blocks: hashes.map(aBlock) });
    await store.windows.create(aManifest({ name: 'w1' }), someIds, blocks('aa', 'bb', 'cc', 'dd'));
    await store.windows.create(aManifest({ name: 'w2' }), someIds, blocks('aa', 'bb'));
    await store.windows.create(aManifest({ name: 'w3' }), someIds, blocks('aa', 'cc', 'ee'));
    const asked = ['aa', 'bb', 'cc', 'dd', 'zz'];
    expect([...(await store.blocks.heldByOthers(asked, name))].sort()).toEqual(['aa', 'bb', 'cc']);
    await store.windows.delete(windowName('w3'));
    expect([...(await store.blocks.heldByOthers(asked, name))].sort()).toEqual(['aa', 'bb']);
    await store.windows.delete(windowName('w2'));
    expect(await store.blocks.heldByOthers(asked, name)).toEqual(new Set());
  });

  it('the checksums that other windows recorded for a block are all there, each once', async () => {
    const recorded = (checksum: string) => aKvRecord({ blocks: [{ ...aBlock('aa'), checksum }, aBlock('bb')] });
    await store.windows.create(aManifest({ name: 'w1' }), someIds, recorded('first'));
    await store.windows.create(aManifest({ name: 'w2' }), someIds, recorded('second'));
    await store.windows.create(aManifest({ name: 'w3' }), someIds, recorded('second'));
    await store.windows.create(aManifest({ name: 'w4' }), someIds, recorded('third'));
    await store.windows.create(aManifest({ name: 'other', lineage: 'l2' }), someIds, recorded('fourth'));
    const found = await store.blocks.checksumsOfOthers(['aa', 'zz'], name);
    expect([...found.keys()]).toEqual(['aa']);
    expect([...found.get('aa')!].sort()).toEqual(['second', 'third']);
    const ofLineage = await store.blocks.recordsOfLineage(lineageId('l1'), ['aa', 'zz']);
    expect([...ofLineage.keys()]).toEqual(['aa']);
    const checksums = ofLineage.get('aa')!.map(({ checksum }) => checksum);
    expect(checksums.toSorted()).toEqual(['first', 'second', 'second', 'third']);
  });
});

describe('lineages and projects', () => {
  let store: FileStore;
  const id = lineageId('l1');
  const project = projectUri('file:///home/me/work');

  beforeEach(async () => {
    store = await openTestStore(await temporaryDirectory());
  });

  it('a lineage that is not there is damage', async () => {
    await expect(store.lineages.get(id)).rejects.toMatchObject({ code: 'CWM-4004' });
  });

  it('a lineage moves on once, however many ask for it', async () => {
    await store.lineages.create({ id, salt: 'salt', generation: 0 });
    const all = await Promise.all([1, 2, 3].map(() => store.lineages.advance(id, 0)));
    expect(all.map((lineage) => lineage.generation)).toEqual([1, 1, 1]);
    expect(await store.lineages.get(id)).toEqual({ id, salt: 'salt', generation: 1 });
    await expect(store.lineages.create({ id, salt: 'other', generation: 0 })).rejects.toMatchObject({
      code: 'CWM-9001',
    });
    expect((await store.lineages.get(id)).salt).toBe('salt');
  });

  it('a project knows its last session until that is deleted', async () => {
    expect(await store.projects.currentSession(project)).toBeNull();
    await store.sessions.create(aSession());
    await store.projects.setCurrentSession(project, sessionId('s1'));
    expect(await store.projects.currentSession(project)).toBe('s1');
    expect(await store.projects.currentSession(projectUri('file:///home/me/other'))).toBeNull();
    await store.sessions.delete(sessionId('s1'));
    expect(await store.projects.currentSession(project)).toBeNull();
    await store.projects.setCurrentSession(project, null);
    expect(await store.projects.currentSession(project)).toBeNull();
  });
});
