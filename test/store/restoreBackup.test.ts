import { beforeEach, describe, expect, it } from 'vitest';
import { encodeRecord, recordFormatVersion } from '../../src/store/disk/record.ts';
import type { Migration } from '../../src/store/migrations/migration.ts';
import { migrations } from '../../src/store/migrations/migrations.ts';
import { isSampled } from '../support/nightly.ts';
import { aSession, sessionId, sessionsQuery } from './builders.ts';
import { allEndings, endAs, faultKinds } from './crashEndings.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe } from './operations.ts';
import { openTestStore } from './testStore.ts';

const signal = new AbortController().signal;
const root = '/home/me/store';

const nextFormat: readonly Migration[] = [
  ...migrations,
  { from: recordFormatVersion, to: recordFormatVersion + 1, what: 'nothing changes', migrate: async () => undefined },
];

let backup = '';

/** A store with a backup of two sessions, which was used since: a third one, and no named prompts' directory in the backup. */
async function used(): Promise<MemoryFiles> {
  const memory = new MemoryFiles();
  const old = await openTestStore(root, { files: memory });
  await fill(old);
  await old.close();
  const store = await openTestStore(root, { files: memory, migrations: nextFormat });
  backup = store.migrated[0]!.backup.replace('backups/', '');
  await store.sessions.create(aSession({ id: 'later' }));
  await store.sessions.delete(sessionId('s2'));
  await store.close();
  return memory.copy();
}

const open = (memory: MemoryFiles, restoreBackup: string | null = null, files = new FaultyFiles(memory).files) =>
  openTestStore(root, { files, migrations: nextFormat, restoreBackup });

const idsOf = async (store: Awaited<ReturnType<typeof open>>) =>
  (await store.sessions.list(sessionsQuery())).items.map(({ id }) => id).sort();

describe('S0-18 a backup', () => {
  it('is listed with what it has, the latest first', async () => {
    const store = await open(await used());
    expect(await store.backups.list(signal)).toEqual([
      {
        id: backup,
        format: recordFormatVersion,
        createdAt: expect.any(String),
        sessions: 2,
        windows: 1,
        sizeBytes: expect.any(Number),
      },
    ]);
    const [{ sizeBytes, createdAt } = { sizeBytes: 0, createdAt: '' }] = await store.backups.list(signal);
    expect(sizeBytes).toBeGreaterThan(500);
    expect(Number.isNaN(Date.parse(createdAt))).toBe(false);
  });

  it('takes the place of the records, which become a backup that can be restored in turn', async () => {
    const memory = await used();
    const store = await open(memory, backup);
    expect(await idsOf(store)).toEqual(['s1', 's2']);
    expect(store.restored).toMatchObject({ backup, wasInterrupted: false });
    expect(store.migrated).toHaveLength(1);
    expect((await store.check.verify(signal)).flatMap(({ problems }) => problems)).toEqual([]);
    expect(Buffer.from(await memory.read(`${root}/audit.jsonl`)).toString()).toContain('"event":"STORE_RESTORE"');
    const before = (await store.backups.list(signal)).find(({ id }) => id.startsWith('before-restore-'))!;
    await store.close();
    const back = await open(memory, before.id);
    expect(await idsOf(back)).toEqual(['later', 's1']);
    expect((await back.trash.list()).map(({ name }) => name)).toEqual(['s2']);
    expect((await back.check.verify(signal)).flatMap(({ problems }) => problems)).toEqual([]);
    await back.close();
    const again = await open(memory);
    expect(again.restored).toBeNull();
    expect(await idsOf(again)).toEqual(['later', 's1']);
  });

  it.each(['nothing', '../outside', '', 'format-1-x'])(
    'that is not there (%j) is refused, and nothing changes',
    async (id) => {
      const memory = await used();
      const tree = memory.tree(root);
      await expect(open(memory, id)).rejects.toMatchObject({ code: 'CWM-1003' });
      expect(memory.tree(root)).toEqual(tree);
    },
  );

  it('of a later version is refused, and a damaged one is listed and refused', async () => {
    const memory = await used();
    const record = `${root}/backups/${backup}/store.json`;
    await memory.remove(record);
    await memory.create(record, encodeRecord({ createdAt: '' }, recordFormatVersion + 2));
    await expect(open(memory, backup)).rejects.toMatchObject({ code: 'CWM-1004' });
    await memory.truncate(record, 30);
    await expect(open(memory, backup)).rejects.toMatchObject({ code: 'CWM-1003' });
    const store = await open(memory);
    expect(await store.backups.list(signal)).toMatchObject([{ id: backup, format: null }]);
  });

  it('brings an older program its records back from a store of a later format', async () => {
    const memory = await used();
    const store = await openTestStore(root, { files: memory, restoreBackup: backup });
    expect(await idsOf(store)).toEqual(['s1', 's2']);
    expect(store.isReadOnly).toBe(false);
  });
});

describe('S0-18 a restore', () => {
  let wanted: unknown;
  let points: readonly string[];

  beforeEach(async () => {
    const whole = new FaultyFiles(await used());
    const store = await open(new MemoryFiles(), backup, whole.files);
    points = [...whole.seen];
    wanted = await observe(store);
  });

  it.each(allEndings.map((one, way) => ({ ...one, way })))(
    'that a $ending ($kind) ends at any change leaves either what was there or the backup, and both in whole',
    async ({ kind, ending, way }) => {
      const earlier = await observe(await open(await used()));
      const seen = new Set<string>();
      for (const [at, change] of points.entries()) {
        if (!isSampled(at + way, 6)) continue;
        const memory = await used();
        const faulty = new FaultyFiles(memory);
        faulty.dieAt(at, kind);
        const where = `${ending} at change ${at}, ${change} (${kind})`;
        await open(memory, backup, faulty.files).catch(() => undefined);
        endAs(ending, memory, at);
        const store = await open(memory);
        const found = await observe(store);
        const isRestored = JSON.stringify(found) === JSON.stringify(wanted);
        seen.add(isRestored ? 'backup' : 'before');
        expect(found, where).toEqual(isRestored ? wanted : earlier);
        expect(
          (await store.check.verify(signal)).flatMap(({ problems }) => problems),
          where,
        ).toEqual([]);
        if (isRestored) {
          const before = (await store.backups.list(signal)).find(({ id }) => id.startsWith('before-restore-'))!;
          await store.close();
          expect(await observe(await open(memory, before.id)), where).toEqual(earlier);
        }
      }
      expect([...seen].sort()).toEqual(['backup', 'before']);
    },
  );

  it('that fails at any change, or runs out of room there, can be repeated', async () => {
    for (const [index, kind] of [...faultKinds, 'full' as const].entries()) {
      for (const at of points.keys()) {
        if (!isSampled(at + index, 9)) continue;
        const memory = await used();
        const faulty = new FaultyFiles(memory);
        if (kind === 'full') faulty.fillFrom(at);
        else faulty.failAt(at, kind, 'EIO');
        const opened = await open(memory, backup, faulty.files).catch(() => null);
        await opened?.close();
        faulty.heal();
        const store = await open(memory, backup);
        expect(await observe(store), `${kind} at ${at}, ${points[at]}`).toEqual(wanted);
      }
    }
  });
});
