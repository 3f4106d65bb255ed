import { readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { aMessage, aReceipt, messageId, sessionId, sessionsQuery, windowName, windowsQuery } from './builders.ts';
import { filled, root, storedFiles, useEverything } from './everything.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { fill } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

const signal = new AbortController().signal;
const s1 = sessionId('s1');
const w0 = windowName('w0');

describe.each(storedFiles)('S0-60 a disk that gives EIO for %s', (path) => {
  it('costs what needs it, with errors from the table; nothing is set aside for it, and all is there afterwards', async () => {
    const memory = await filled();
    const faulty = new FaultyFiles(memory);
    faulty.failReading(`${root}/${path}`, 'EIO');
    for (const code of await useEverything(faulty.files)) expect(code).toMatch(/^CWM-[234]\d{3}$/);
    expect(faulty.refusedReads).toBeGreaterThan(0);
    expect(await memory.list(`${root}/quarantine`)).toEqual([]);
    faulty.heal();
    const store = await openTestStore(root, { files: faulty.files });
    expect((await store.check.verify(signal)).flatMap(({ problems }) => problems)).toEqual([]);
    expect((await store.audit.verify(signal)).healthy).toBe(true);
    expect((await store.sessions.list(sessionsQuery())).total).toBe(2);
    await store.close();
  });
});

it('an index that gives EIO is made again from the files', async () => {
  const faulty = new FaultyFiles(await filled());
  faulty.failReading(`${root}/index.sqlite`, 'EIO');
  const store = await openTestStore(root, { files: faulty.files });
  expect((await store.sessions.list(sessionsQuery())).total).toBe(2);
  expect((await store.windows.list(windowsQuery())).total).toBe(1);
  expect(store.problems).toMatchObject([{ path: 'index.sqlite', movedTo: null }]);
  await store.close();
});

/** As sparse files, so that no byte of it is really there. */
const giant = 3 * 2 ** 30;

describe('S0-60 a file of lines that has become gigabytes of one line', () => {
  it.each([
    ['windows/w0/receipts.jsonl', 'set aside'],
    ['audit.jsonl', 'set aside'],
    // All of it is in the messages' own files, too.
    ['contexts/s1/message_index.jsonl', 'made again'],
    // Nobody was in the middle of an answer.
    ['answers.jsonl', 'left'],
  ])('%s is %s, and the store goes on', async (path, becomes) => {
    const directory = await temporaryDirectory();
    const before = await openTestStore(directory);
    await fill(before);
    await before.audit.record([{ event: 'SESSION_CREATE', outcome: 'ok', client: 'cli', session: 's1' }]);
    await before.close();
    const file = join(directory, path);
    await writeFile(file, 'x', { flag: 'a' });
    await truncate(file, giant);

    const store = await openTestStore(directory);
    expect((await store.sessions.list(sessionsQuery())).total).toBe(2);
    expect(await store.messages.load(s1, [messageId('m1')])).toHaveLength(1);
    expect((await store.receipts.list(w0)).length).toBeLessThanOrEqual(1);
    await store.messages.append(s1, [aMessage('m2', 2)]);
    await store.receipts.append(w0, aReceipt());
    await store.audit.record([{ event: 'SESSION_CREATE', outcome: 'ok', client: 'cli', session: 's2' }]);
    await store.answers.left(s1);
    expect((await store.messages.load(s1, ['m1', 'm2'].map(messageId))).map(({ id }) => id)).toEqual(['m1', 'm2']);
    expect((await store.receipts.list(w0)).length).toBeGreaterThan(0);
    await store.close();
    const sizes = await Promise.all(
      (await readdir(join(directory, 'quarantine'))).map((name) => stat(join(directory, 'quarantine', name))),
    );
    expect(sizes.map(({ size }) => size)).toEqual(becomes === 'set aside' ? [giant] : []);
    const again = await openTestStore(directory);
    expect(await again.messages.chain(s1, messageId('m2'))).toEqual(['m1', 'm2']);
    await again.close();
  });
});
