import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import type { Migration } from '../../src/store/migrations/migration.ts';
import { migrations } from '../../src/store/migrations/migrations.ts';
import { encodeRecord, openRecord, recordFormatVersion } from '../../src/store/disk/record.ts';
import { aSession, sessionId, sessionsQuery, windowName, windowsQuery } from './builders.ts';
import { allEndings, endAs, faultKinds } from './crashEndings.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { contentsOf } from './fixtures/contents.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, observe, operations } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';
import { isSampled } from '../support/nightly.ts';

const signal = new AbortController().signal;
const root = '/home/me/store';

interface Titled {
  readonly title: string;
}

/** To the next format: titles in capitals. To the one after: titles with a mark, which must not be set twice, and receipts gone. */
const steps: readonly Migration[] = [
  ...migrations,
  {
    from: recordFormatVersion,
    to: recordFormatVersion + 1,
    what: 'titles are loud',
    async migrate({ sessions, rewrite }) {
      for (const session of await sessions()) {
        await rewrite(join(session, 'metadata.json'), (value) => ({
          ...(value as Titled),
          title: (value as Titled).title.toUpperCase(),
        }));
      }
    },
  },
  {
    from: recordFormatVersion + 1,
    to: recordFormatVersion + 2,
    what: 'titles have a mark',
    async migrate({ sessions, windows, rewrite, lines }) {
      for (const session of await sessions()) {
        await rewrite(join(session, 'metadata.json'), (value) => ({
          ...(value as Titled),
          title: `${(value as Titled).title}!`,
        }));
      }
      for (const window of await windows()) await lines.replace(join(window, 'receipts.jsonl'), []);
    },
  },
];

async function filled(): Promise<MemoryFiles> {
  const memory = new MemoryFiles();
  const store = await openTestStore(root, { files: memory });
  await fill(store);
  await store.close();
  return memory;
}

const titles = async (store: FileStore): Promise<string[]> =>
  (await store.sessions.list(sessionsQuery())).items.map(({ title }) => title);

const storeRecord = async (memory: MemoryFiles) => openRecord(await memory.read(`${root}/store.json`));

describe('the list of migrations', () => {
  it('goes step by step from the first format to that of this version', () => {
    expect(migrations.map(({ from }) => from)).toEqual(migrations.map((_, index) => index + 1));
    for (const { from, to } of migrations) expect(to).toBe(from + 1);
    expect(migrations.at(-1)?.to ?? 1).toBe(recordFormatVersion);
  });

  it('has a fixture of every format that there ever was', async () => {
    const fixtures = await readdir(fileURLToPath(new URL('fixtures', import.meta.url)));
    for (let format = 1; format <= recordFormatVersion; format++) expect(fixtures).toContain(`format-${format}`);
  });
});

describe('a store of an older format', () => {
  it('goes through every step when it is opened, and is backed up before each', async () => {
    const memory = await filled();
    const before = memory.tree(root);
    const store = await openTestStore(root, { files: memory, migrations: steps });
    expect(await titles(store)).toEqual(['A SESSION!', 'A SESSION!']);
    expect(await store.receipts.list(windowName('w0'))).toEqual([]);
    expect(store.formatVersion).toBe(recordFormatVersion + 2);
    expect(store.migrated).toMatchObject([
      { from: 2, to: 3, what: 'titles are loud' },
      { from: 3, to: 4, what: 'titles have a mark' },
    ]);
    expect(await storeRecord(memory)).toMatchObject({ formatVersion: 4, value: { createdAt: expect.any(String) } });
    expect((await store.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
    const [first, second] = store.migrated.map(({ backup }) => memory.tree(`${root}/${backup}`));
    for (const [path, content] of Object.entries(first!)) {
      if (content !== 'directory') expect(content, path).toBe(before[path]);
    }
    expect(Object.keys(first!)).toEqual(
      expect.arrayContaining([
        'store.json',
        'contexts/s1/messages/m1.json',
        'windows/w0/receipts.jsonl',
        'lineages/l1.json',
      ]),
    );
    expect(second!['contexts/s1/metadata.json']).not.toBe(first!['contexts/s1/metadata.json']);
    expect(second!['windows/w0/receipts.jsonl']).toBe(first!['windows/w0/receipts.jsonl']);
  });

  it('goes through with what lies in its trash, which is backed up too', async () => {
    const memory = await filled();
    const old = await openTestStore(root, { files: memory });
    await old.windows.delete(windowName('w0'));
    await old.sessions.delete(sessionId('s2'));
    await old.close();
    const store = await openTestStore(root, { files: memory, migrations: steps });
    expect(Object.keys(memory.tree(`${root}/${store.migrated[0]?.backup}/trash`)).join()).toMatch(/s2\/metadata\.json/);
    for (const { id } of await store.trash.list()) await store.trash.restore(id);
    expect(await titles(store)).toEqual(['A SESSION!', 'A SESSION!']);
    expect(await store.receipts.list(windowName('w0'))).toEqual([]);
    expect((await store.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
  });

  it('is opened again without anything being done, and tells the audit log once', async () => {
    const memory = await filled();
    await (await openTestStore(root, { files: memory, migrations: steps })).close();
    const tree = memory.tree(root);
    const again = await openTestStore(root, { files: memory, migrations: steps });
    expect(again.migrated).toEqual([]);
    expect(await titles(again)).toEqual(['A SESSION!', 'A SESSION!']);
    await again.close();
    expect(memory.tree(root)).toEqual(tree);
    const log = Buffer.from(await memory.read(`${root}/audit.jsonl`)).toString();
    expect(log.match(/"event":"STORE_MIGRATE","outcome":"ok","client":"backend","from":"\d","to":"\d"/g)).toEqual([
      expect.stringContaining('"from":"2","to":"3"'),
      expect.stringContaining('"from":"3","to":"4"'),
    ]);
  });

  it('a backup is a store that the older version opens', async () => {
    const memory = await filled();
    const store = await openTestStore(root, { files: memory, migrations: steps });
    const old = await openTestStore(`${root}/${store.migrated[0]!.backup}`, { files: memory });
    expect(await titles(old)).toEqual(['A session', 'A session']);
    expect(await old.receipts.list(windowName('w0'))).toHaveLength(1);
    expect((await old.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
  });

  it('a new store has the latest format at once', async () => {
    const memory = new MemoryFiles();
    const store = await openTestStore(root, { files: memory, migrations: steps });
    expect(store.migrated).toEqual([]);
    expect((await storeRecord(memory)).formatVersion).toBe(recordFormatVersion + 2);
  });

  it.each(['lost', 'damaged'])('whose store.json is %s goes through every step, whatever was done', async (how) => {
    const memory = await filled();
    await (await openTestStore(root, { files: memory, migrations: steps.slice(0, 2) })).close();
    if (how === 'lost') await memory.remove(`${root}/store.json`);
    else await memory.truncate(`${root}/store.json`, 40);
    const store = await openTestStore(root, { files: memory, migrations: steps });
    expect(await titles(store)).toEqual(['A SESSION!', 'A SESSION!']);
    expect((await storeRecord(memory)).formatVersion).toBe(recordFormatVersion + 2);
    expect(store.problems.map(({ path }) => path)).toEqual(how === 'lost' ? [] : ['store.json']);
  });

  it('leaves a damaged record to its next reader, and does not touch a link', async () => {
    const memory = await filled();
    await memory.truncate(`${root}/contexts/s2/metadata.json`, 100);
    const store = await openTestStore(root, { files: memory, migrations: steps });
    expect(await titles(store)).toEqual(['A SESSION!']);
    await expect(store.sessions.get(sessionId('s2'))).rejects.toMatchObject({ code: 'CWM-4004' });
  });

  it('that cannot be backed up is not touched, and goes through when there is room', async () => {
    const memory = await filled();
    const tree = memory.tree(root);
    const faulty = new FaultyFiles(memory);
    faulty.fillFrom(0);
    await expect(openTestStore(root, { files: faulty.files, migrations: steps })).rejects.toMatchObject({
      code: 'CWM-4003',
    });
    const withoutBackups = Object.fromEntries(Object.entries(memory.tree(root)).filter(([path]) => path !== 'backups'));
    expect(withoutBackups).toEqual(tree);
    faulty.heal();
    expect(await titles(await openTestStore(root, { files: faulty.files, migrations: steps }))).toEqual([
      'A SESSION!',
      'A SESSION!',
    ]);
  });

  let crashes = 0;
  it.each(allEndings.map((one, way) => ({ ...one, way })))(
    'S4-06 a $ending ($kind) at any change of a migration loses nothing',
    async ({ kind, ending, way }) => {
      const whole = new FaultyFiles(await filled());
      const migrated = await openTestStore(root, { files: whole.files, migrations: steps });
      const changes = [...whole.seen];
      const wanted = await observe(migrated);
      expect(changes.length).toBeGreaterThan(60);
      for (const [at, change] of changes.entries()) {
        if (!isSampled(at + way, 9)) continue;
        crashes++;
        const memory = await filled();
        const faulty = new FaultyFiles(memory);
        faulty.dieAt(at, kind);
        const where = `${ending} at change ${at}, ${change} (${kind})`;
        await openTestStore(root, { files: faulty.files, migrations: steps }).catch(() => undefined);
        endAs(ending, memory, at);
        const store = await openTestStore(root, { files: memory, migrations: steps });
        expect(await observe(store), where).toEqual(wanted);
        expect(
          (await store.check.verify(signal)).flatMap((step) => step.problems),
          where,
        ).toEqual([]);
        await store.close();
        // Somewhere there is a backup with everything as it was.
        const backups = await memory.list(`${root}/backups`);
        const olds = backups.filter((name) => name.startsWith('format-2-'));
        expect(olds.length, where).toBeGreaterThan(0);
        expect(backups, where).toContainEqual(expect.stringMatching(/^format-3-/));
        for (const name of olds) {
          const old = openRecord(await memory.read(`${root}/backups/${name}/contexts/s1/metadata.json`));
          expect(old, where).toMatchObject({ formatVersion: 2, value: { title: 'A session' } });
        }
      }
    },
  );

  it('EC-052 that fails at any change, or runs out of room there, loses nothing and goes through the next time', async () => {
    const whole = new FaultyFiles(await filled());
    const wanted = await observe(await openTestStore(root, { files: whole.files, migrations: steps }));
    const points = whole.seen.length;
    let failures = 0;
    const faults: ((faulty: FaultyFiles, at: number) => void)[] = [
      ...faultKinds.map((kind) => (faulty: FaultyFiles, at: number) => faulty.failAt(at, kind, 'EIO')),
      (faulty, at) => faulty.fillFrom(at),
    ];
    for (let at = 0; at < points; at++) {
      for (const [index, arm] of faults.entries()) {
        if (!isSampled(at + index, 2 * faults.length)) continue;
        failures++;
        const memory = await filled();
        const faulty = new FaultyFiles(memory);
        arm(faulty, at);
        const where = `failure ${index} of change ${at}, ${whole.seen[at]}`;
        const opened = await openTestStore(root, { files: faulty.files, migrations: steps }).catch((error: unknown) => {
          expect(error, where).toMatchObject({ code: index === 3 ? 'CWM-4003' : 'CWM-4001' });
          return null;
        });
        await opened?.close();
        const store = await openTestStore(root, { files: memory, migrations: steps });
        expect(await observe(store), where).toEqual(wanted);
        await store.close();
      }
    }
    console.log(`a start with two migrations: ${points} points, ${crashes} crashes, ${failures} failures`);
  });

  it('a migration that was begun is not opened by an older version for writing', async () => {
    const memory = await filled();
    const failing: Migration = {
      ...steps.at(-2)!,
      migrate: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })),
    };
    await expect(openTestStore(root, { files: memory, migrations: [failing] })).rejects.toMatchObject({
      code: 'CWM-4001',
    });
    const old = await openTestStore(root, { files: memory });
    expect(old.isReadOnly).toBe(true);
    const done = await openTestStore(root, { files: memory, migrations: steps });
    expect(await titles(done)).toEqual(['A SESSION!', 'A SESSION!']);
  });
});

describe('S0-23 a store of a later version', () => {
  let memory: MemoryFiles;
  let tree: Record<string, string>;
  let store: FileStore;

  /** Everything of this version's, said to be of the next one; one session record really is. */
  beforeEach(async () => {
    memory = await filled();
    const put = async (path: string, bytes: Uint8Array): Promise<void> => {
      await memory.remove(`${root}/${path}`);
      await memory.create(`${root}/${path}`, bytes);
    };
    await put('store.json', encodeRecord({ createdAt: '2030-01-01T00:00:00.000Z', more: 1 }, recordFormatVersion + 1));
    await put(
      'contexts/s2/metadata.json',
      encodeRecord({ ...aSession({ id: 's2' }), more: 1 }, recordFormatVersion + 1),
    );
    await memory.create(`${root}/tmp/left`, Buffer.from('of a crash'));
    tree = memory.tree(root);
    store = await openTestStore(root, { files: memory });
  });

  it('can be listed and read', async () => {
    expect(store.isReadOnly).toBe(true);
    expect(store.formatVersion).toBe(recordFormatVersion + 1);
    expect((await store.sessions.list(sessionsQuery())).items.map(({ id }) => id)).toEqual(['s1', 's2']);
    expect((await store.windows.list(windowsQuery())).items.map(({ name }) => name)).toEqual(['w0']);
    expect(await store.sessions.get(sessionId('s2'))).toEqual(aSession({ id: 's2' }));
    expect(await store.receipts.list(windowName('w0'))).toHaveLength(1);
    expect(await store.windows.loadKv(windowName('w0'))).toMatchObject({ kvBytes: 8192 });
    expect((await store.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
    expect(await store.audit.verify(signal)).toMatchObject({ healthy: true });
    expect(Object.keys(await contentsOf(store, 'file:///p')).length).toBeGreaterThan(4);
  });

  it.each(Object.entries(operations))('refuses %s with CWM-1004 and says why', async (_, operation) => {
    await expect(operation(store)).rejects.toMatchObject({
      code: 'CWM-1004',
      message: expect.stringMatching(/later version .* reading only/) as unknown,
    });
  });

  it('is not touched in any way, not even where something is damaged', async () => {
    await memory.truncate(`${root}/contexts/s2/metadata.json`, 60);
    tree = memory.tree(root);
    await expect(store.sessions.get(sessionId('s2'))).rejects.toMatchObject({ code: 'CWM-4004' });
    await observe(store);
    await store.audit.record([{ event: 'SESSION_CREATE', outcome: 'ok', client: 'cli', session: 'x' }]);
    await store.audit.recordSettings({ version: '1' });
    await store.close();
    expect(memory.tree(root)).toEqual(tree);
    expect(await memory.stat(`${root}/index.sqlite`)).toEqual(await memory.stat(`${root}/index.sqlite`));
  });

  it.each(['lost', 'damaged'])('is known as such also when its store.json is %s', async (how) => {
    await store.close();
    if (how === 'lost') await memory.remove(`${root}/store.json`);
    else await memory.truncate(`${root}/store.json`, 40);
    tree = memory.tree(root);
    const again = await openTestStore(root, { files: memory });
    expect(again.isReadOnly).toBe(true);
    await again.close();
    expect(memory.tree(root)).toEqual(tree);
  });

  it('is neither encrypted nor decrypted, because files of the later version would be missed', async () => {
    await store.close();
    const keyFile = join(await temporaryDirectory(), 'cwm.key');
    const open = (turn: 'on' | 'off', files: MemoryFiles): Promise<FileStore> =>
      openTestStore(root, { files, encryption: { turn, keyFile } });
    await expect(open('on', memory)).rejects.toMatchObject({ code: 'CWM-1004' });
    expect(memory.tree(root)).toEqual(tree);

    const encrypted = await filled();
    await (await open('on', encrypted)).close();
    await (await openTestStore(root, { files: encrypted, migrations: steps })).close();
    tree = encrypted.tree(root);
    await expect(open('off', encrypted)).rejects.toMatchObject({ code: 'CWM-1004' });
    expect(encrypted.tree(root)).toEqual(tree);
  });

  it('shows what it understands, and leaves out the rest', async () => {
    await memory.remove(`${root}/contexts/s2/metadata.json`);
    await memory.create(`${root}/contexts/s2/metadata.json`, encodeRecord({ all: 'new' }, recordFormatVersion + 1));
    const again = await openTestStore(root, { files: memory });
    expect((await again.sessions.list(sessionsQuery())).items.map(({ id }) => id)).toEqual(['s1']);
    await expect(again.sessions.get(sessionId('s2'))).rejects.toMatchObject({ code: 'CWM-1004' });
  });

  it('on a real disk has the same files afterwards', async () => {
    const directory = await temporaryDirectory();
    await cp(fileURLToPath(new URL('fixtures/format-1', import.meta.url)), directory, { recursive: true });
    const path = join(directory, 'store.json');
    await rm(path);
    await writeFile(path, encodeRecord({ createdAt: '2030-01-01T00:00:00.000Z' }, recordFormatVersion + 1));
    const names = (await readdir(directory, { recursive: true })).sort();
    const bytes = await readFile(path);
    const onDisk = await openTestStore(directory);
    await contentsOf(onDisk, 'file:///home/me/project');
    await onDisk.close();
    expect((await readdir(directory, { recursive: true })).sort()).toEqual(names);
    expect(await readFile(path)).toEqual(bytes);
  });
});
