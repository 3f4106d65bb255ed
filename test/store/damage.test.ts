import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aMessage,
  aReceipt,
  contextTokens,
  lineageId,
  messageId,
  projectUri,
  sessionId,
  sessionsQuery,
  someIds,
  windowName,
  windowsQuery,
} from './builders.ts';
import { fill } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

const s1 = sessionId('s1');
const w0 = windowName('w0');
const tokens = contextTokens(someIds);
const signal = new AbortController().signal;

/** One kind of file, and the call that needs it. */
const kinds: readonly { what: string; file: RegExp; read: (store: FileStore) => Promise<unknown> }[] = [
  { what: 'a session record', file: /^contexts\/s1\/metadata\.json$/, read: (store) => store.sessions.get(s1) },
  {
    what: 'a message',
    file: /^contexts\/s1\/messages\/m1\.json$/,
    read: (store) => store.messages.load(s1, [messageId('m1')]),
  },
  { what: 'a window manifest', file: /^windows\/w0\/manifest\.json$/, read: (store) => store.windows.get(w0) },
  { what: 'token ids of a window', file: /^windows\/w0\/tokens\.u32$/, read: (store) => store.windows.loadTokens(w0) },
  { what: 'a KV record', file: /^windows\/w0\/kv\.json$/, read: (store) => store.windows.loadKv(w0) },
  { what: 'a block list', file: /^windows\/w0\/blocks-/, read: (store) => store.windows.loadKv(w0) },
  { what: 'a lineage', file: /^lineages\/l1\.json$/, read: (store) => store.lineages.get(lineageId('l1')) },
];

describe('EC-050 damaged files', () => {
  let directory: string;
  let store: FileStore;

  const pathOf = async (file: RegExp): Promise<string> => {
    const names = await readdir(directory, { recursive: true });
    const found = names.find((name) => file.test(name.replaceAll('\\', '/')));
    expect(found, String(file)).toBeDefined();
    return join(directory, found!);
  };
  const flipBit = async (path: string, at: number): Promise<void> => {
    const bytes = await readFile(path);
    bytes[at]! ^= 4;
    await writeFile(path, bytes);
  };
  const damages: Record<string, (path: string) => Promise<void>> = {
    'one flipped bit': async (path) => flipBit(path, (await readFile(path)).length >> 1),
    'its end cut off': async (path) => truncate(path, (await readFile(path)).length - 1),
    'no content': async (path) => truncate(path, 0),
  };

  beforeEach(async () => {
    directory = await temporaryDirectory();
    store = await openTestStore(directory);
    await fill(store);
  });

  describe.each(kinds)('$what', ({ file, read }) => {
    it.each(Object.keys(damages))('with %s is set aside and reported, every time it is asked for', async (damage) => {
      const path = await pathOf(file);
      await damages[damage]!(path);
      const damaged = await readFile(path);
      await expect(read(store)).rejects.toMatchObject({ code: 'CWM-4004' });
      await expect(read(store)).rejects.toMatchObject({ code: 'CWM-4004' });
      const [aside, ...more] = await readdir(join(directory, 'quarantine'));
      expect(more).toEqual([]);
      expect(await readFile(join(directory, 'quarantine', aside!))).toEqual(damaged);
      expect(store.problems.filter((problem) => problem.movedTo === `quarantine/${aside}`)).toHaveLength(1);
    });

    it('that has become gigabytes long is set aside without being read, and lists work', async () => {
      const path = await pathOf(file);
      await truncate(path, 3 * 2 ** 30);
      await expect(read(store)).rejects.toMatchObject({ code: 'CWM-4004' });
      expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1);
      expect((await store.sessions.list(sessionsQuery())).items.map((session) => session.id)).toContain('s2');
    });

    it('is found by verify, which leaves it where it is, and the rest loads', async () => {
      const path = await pathOf(file);
      await damages['one flipped bit']!(path);
      const damaged = await readFile(path);
      const steps = await store.check.verify(signal);
      expect(steps.flatMap((step) => step.problems).length).toBeGreaterThan(0);
      expect(await readFile(path)).toEqual(damaged);
      const works = await Promise.allSettled(kinds.map((kind) => kind.read(store)));
      const failed = works.filter((result) => result.status === 'rejected');
      // The tokens of a window can't be checked without its manifest.
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.length).toBeLessThanOrEqual(2);
      expect((await store.sessions.list(sessionsQuery())).items.map((session) => session.id)).toContain('s2');
    });
  });

  it('S4-05 one damaged message leaves the others readable, also after the store was opened again', async () => {
    await store.messages.append(s1, [aMessage('m2', 2), aMessage('m3', 3)]);
    await flipBit(join(directory, 'contexts/s1/messages/m2.json'), 100);
    await expect(store.messages.load(s1, ['m1', 'm2'].map(messageId))).rejects.toMatchObject({ code: 'CWM-4004' });
    expect(await store.messages.load(s1, ['m1', 'm3'].map(messageId))).toHaveLength(2);
    await store.close();
    const again = await openTestStore(directory);
    await again.messages.append(s1, [aMessage('m4', 4)]);
    expect(await again.messages.load(s1, ['m3', 'm4'].map(messageId))).toHaveLength(2);
    await expect(again.messages.load(s1, [messageId('m2')])).rejects.toMatchObject({ code: 'CWM-4004' });
  });

  it('a session without its record is in no list, its id stays taken, and it can be deleted', async () => {
    expect((await store.sessions.list(sessionsQuery())).total).toBe(2);
    await flipBit(join(directory, 'contexts/s1/metadata.json'), 200);
    const { items, total } = await store.sessions.list(sessionsQuery());
    expect(items.map((session) => session.id)).toEqual(['s2']);
    expect(total).toBe(1);
    await store.sessions.delete(s1);
    expect(await store.sessions.get(s1)).toBeNull();
  });

  it('a window without its manifest is in no list, its name stays taken, and it can be deleted', async () => {
    await flipBit(join(directory, 'windows/w0/manifest.json'), 200);
    await expect(store.windows.get(w0)).rejects.toMatchObject({ code: 'CWM-4004' });
    await store.close();
    const again = await openTestStore(directory);
    expect((await again.windows.list(windowsQuery())).total).toBe(0);
    await again.windows.delete(w0);
    expect(await again.windows.get(w0)).toBeNull();
  });

  it('a damaged KV record leaves the window listed, without its size', async () => {
    await flipBit(join(directory, 'windows/w0/kv.json'), 150);
    await store.close();
    await rm(join(directory, 'index.sqlite'), { force: true });
    const again = await openTestStore(directory);
    expect((await again.windows.list(windowsQuery())).items).toMatchObject([{ name: 'w0', kvBytes: null }]);
    expect(await again.windows.loadTokens(w0)).toEqual(someIds);
  });

  it('a damaged receipt is left out, and its neighbours stay', async () => {
    const receipts = ['freeze', 'thaw', 'clone'].map((operation) =>
      aReceipt({ operation: operation as 'thaw', window: 'w0' }),
    );
    await store.windows.create((await windowLike(store, 'w1'))!, someIds, await store.windows.loadKv(w0));
    for (const receipt of receipts) await store.receipts.append(windowName('w1'), receipt);
    const path = join(directory, 'windows/w1/receipts.jsonl');
    await flipBit(path, (await readFile(path)).indexOf(0x0a) + 80);
    expect(await store.receipts.list(windowName('w1'))).toEqual([receipts[0], receipts[2]]);
    expect(store.problems).toMatchObject([{ path: 'windows/w1/receipts.jsonl', movedTo: null }]);
    const steps = await store.check.verify(signal);
    expect(steps.flatMap((step) => step.problems)).toEqual(['Damaged receipts of window "w1": 1.']);
  });

  it('a torn last line is cut off before the next one is added', async () => {
    for (const file of ['contexts/s1/message_index.jsonl', 'windows/w0/receipts.jsonl']) {
      const path = join(directory, file);
      await writeFile(path, (await readFile(path, 'utf8')) + 'abc\t{"half":');
    }
    await store.close();
    const again = await openTestStore(directory);
    expect(await again.receipts.list(w0)).toHaveLength(1);
    await again.receipts.append(w0, aReceipt({ window: 'w0', verdict: 'partial' }));
    await again.messages.append(s1, [aMessage('m2', 2)]);
    expect((await again.receipts.list(w0)).map((receipt) => receipt.verdict)).toEqual(['proven', 'partial']);
    expect(again.problems.map((problem) => problem.path).sort()).toEqual([
      'contexts/s1/message_index.jsonl',
      'windows/w0/receipts.jsonl',
    ]);
    expect((await again.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
  });

  it('S4-05 a message index that is lost or damaged is made again from the messages, in their order', async () => {
    await store.messages.append(s1, [aMessage('m3', 3), aMessage('m2', 2)]);
    const path = join(directory, 'contexts/s1/message_index.jsonl');
    const sequences = async (): Promise<number[]> =>
      (await readFile(path, 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line.slice(65)) as { sequence: number }).sequence);
    let store2 = store;
    for (const [index, damage] of [() => rm(path), () => truncate(path, 30), () => flipBit(path, 90)].entries()) {
      await store2.close();
      await damage();
      store2 = await openTestStore(directory);
      await store2.messages.append(s1, [aMessage(`new${index}`, 4 + index)]);
      expect(await sequences()).toEqual([1, 2, 3, 4, 5, 6].slice(0, 4 + index));
      expect((await store2.check.verify(signal)).flatMap((step) => step.problems)).toEqual([]);
    }
  });

  it('token ids that are saved again heal a damaged file', async () => {
    await flipBit(await pathOf(/^contexts\/s1\/token_log/), 100);
    await expect(store.sessions.loadTokens(s1, tokens.sha256)).rejects.toMatchObject({ code: 'CWM-4004' });
    expect((await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems)).toContainEqual(
      expect.stringContaining('token ids'),
    );
    await store.sessions.saveTokens(s1, someIds);
    expect(await store.sessions.loadTokens(s1, tokens.sha256)).toEqual(someIds);
  });

  it('a damaged project record is forgotten', async () => {
    await store.projects.setCurrentSession(projectUri('file:///p'), s1);
    await flipBit(await pathOf(/^projects\//), 120);
    expect(await store.projects.currentSession(projectUri('file:///p'))).toBeNull();
    await store.projects.setCurrentSession(projectUri('file:///p'), s1);
    expect(await store.projects.currentSession(projectUri('file:///p'))).toBe('s1');
  });

  it('a damaged store record or freeze intent does not stop the store from opening', async () => {
    await store.close();
    await flipBit(join(directory, 'store.json'), 60);
    await writeFile(join(directory, 'intents/freeze-w0.json'), 'half');
    const again = await openTestStore(directory);
    expect(again.problems.map((problem) => problem.path)).toEqual(['store.json', 'intents/freeze-w0.json']);
    expect(await again.sessions.get(s1)).toMatchObject({ lifecycle: 'active' });
    await again.close();
    expect((await openTestStore(directory)).problems).toEqual([]);
  });

  it('records that were copied to another name are not believed', async () => {
    const copy = async (from: string, to: string) =>
      writeFile(join(directory, to), await readFile(join(directory, from)));
    await copy('contexts/s1/metadata.json', 'contexts/s2/metadata.json');
    await expect(store.sessions.get(sessionId('s2'))).rejects.toMatchObject({ code: 'CWM-4004' });
    await store.messages.append(s1, [aMessage('m2', 2)]);
    await copy('contexts/s1/messages/m1.json', 'contexts/s1/messages/m2.json');
    await expect(store.messages.load(s1, [messageId('m2')])).rejects.toMatchObject({ code: 'CWM-4004' });
  });
});

const windowLike = async (store: FileStore, name: string) => {
  const manifest = await store.windows.get(w0);
  return manifest && { ...manifest, name: windowName(name) };
};
