import { cp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Message } from '../../src/protocol/schemas/session.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { encodeRecord } from '../../src/store/disk/record.ts';
import {
  aMessage,
  aSession,
  contextTokens,
  mainBranch,
  messageId,
  nextVersion,
  sessionId,
  sessionsQuery,
  someIds,
} from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

describe('sessions', () => {
  let directory: string;
  let store: FileStore;
  const id = sessionId('s1');

  beforeEach(async () => {
    directory = await temporaryDirectory();
    store = await openTestStore(directory);
  });

  it('S0-25 an unknown session is null, not an error', async () => {
    expect(await store.sessions.get(id)).toBeNull();
  });

  it('S0-20 a created session is the same after the store was opened again', async () => {
    await store.sessions.create(aSession());
    await store.close();
    const again = await openTestStore(directory);
    expect(await again.sessions.get(id)).toEqual(aSession());
  });

  it('a taken id is refused and the session that has it stays', async () => {
    await store.sessions.create(aSession());
    await expect(store.sessions.create(aSession({ title: 'Other' }))).rejects.toMatchObject({ code: 'CWM-3004' });
    expect((await store.sessions.get(id))?.title).toBe('A session');
  });

  it('S3-02 an update must carry the next version', async () => {
    await store.sessions.create(aSession());
    await store.sessions.update(nextVersion(aSession(), { title: 'New' }));
    expect(await store.sessions.get(id)).toMatchObject({ title: 'New', version: 2 });
    for (const version of [1, 2, 4]) {
      await expect(store.sessions.update(aSession({ version }))).rejects.toMatchObject({ code: 'CWM-3103' });
    }
    expect(await store.sessions.get(id)).toMatchObject({ title: 'New', version: 2 });
  });

  it('D6 a session that another program changed or damaged is read again, although it is in memory', async () => {
    const path = join(directory, 'contexts', id, 'metadata.json');
    await store.sessions.create(aSession());
    const inMemory = await store.sessions.get(id);
    expect(await store.sessions.get(id)).toBe(inMemory);
    await store.sessions.update(nextVersion(aSession(), { title: 'New' }));
    expect(await store.sessions.get(id)).toMatchObject({ title: 'New', version: 2 });

    const bytes = await readFile(path);
    await writeFile(path, encodeRecord(nextVersion(nextVersion(aSession()), { title: 'By another' })));
    expect(await store.sessions.get(id)).toMatchObject({ title: 'By another', version: 3 });

    await writeFile(path, bytes.subarray(0, -20));
    await expect(store.sessions.get(id)).rejects.toMatchObject({ code: 'CWM-4004' });
  });

  it('S0-25 verify reads a session that is in memory from its file, whatever size and times say', async () => {
    const path = join(directory, 'contexts', id, 'metadata.json');
    await store.sessions.create(aSession());
    await store.sessions.get(id);
    const before = await diskFiles.stat(path);
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0, 40, 60));
    const real = diskFiles.stat.bind(diskFiles);
    vi.spyOn(diskFiles, 'stat').mockImplementation((asked) => (asked === path ? Promise.resolve(before) : real(asked)));
    onTestFinished(() => void vi.restoreAllMocks());
    expect(await store.sessions.get(id)).not.toBeNull();
    const problems = (await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems);
    expect(problems.join('\n')).toContain('metadata.json');
  });

  it.skipIf(process.platform === 'win32')(
    'the directory of a session that is in memory is not followed as a link',
    async () => {
      const folder = join(directory, 'contexts', id);
      await store.sessions.create(aSession());
      await store.sessions.get(id);
      await cp(folder, join(directory, 'elsewhere'), { recursive: true });
      await rm(folder, { recursive: true });
      await symlink(join(directory, 'elsewhere'), folder);
      await expect(store.sessions.get(id)).rejects.toMatchObject({ code: 'CWM-8001' });
    },
  );

  it('S4-03 a message of a kind that a later version stored is read whole, and its file stays as it is', async () => {
    await store.sessions.create(aSession());
    const content = { type: 'workflow', text: 'Step 1', steps: [{ run: 'it' }] };
    const later = { ...aMessage('m1', 1), content };
    await store.messages.append(id, [later as unknown as Message]);
    const path = join(directory, 'contexts', 's1', 'messages', 'm1.json');
    const before = await readFile(path);
    await store.close();
    const again = await openTestStore(directory);
    const [message] = await again.messages.load(id, [messageId('m1')]);
    expect(message?.content).toEqual({ type: 'unknown', kind: 'workflow', whole: content });
    expect(await readFile(path)).toEqual(before);
    await again.messages.append(id, [{ ...message!, id: messageId('m2'), parentId: messageId('m1'), sequence: 2 }]);
    expect((await again.messages.load(id, [messageId('m2')]))[0]?.content).toEqual(message?.content);
  });

  it('an update of a session that does not exist is refused', async () => {
    await expect(store.sessions.update(aSession({ version: 2 }))).rejects.toMatchObject({ code: 'CWM-2001' });
  });

  it('S3-11 N22 20 concurrent updates with retry are all stored', async () => {
    await store.sessions.create(aSession({ prefixBreaks: 0 }));
    let conflicts = 0;
    const addOne = async (): Promise<void> => {
      for (;;) {
        const session = (await store.sessions.get(id))!;
        try {
          await store.sessions.update(nextVersion(session, { prefixBreaks: session.prefixBreaks + 1 }));
          return;
        } catch (error) {
          expect(error).toMatchObject({ code: 'CWM-3103', retryable: true });
          conflicts++;
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, addOne));
    expect(await store.sessions.get(id)).toMatchObject({ prefixBreaks: 20, version: 21 });
    expect(conflicts).toBeGreaterThan(0);
  });

  it('messages come back in the order asked for', async () => {
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1), aMessage('m2', 2)]);
    await store.messages.append(id, [aMessage('m3', 3, 'mit Ümläuten 🧊\u2028')]);
    const loaded = await store.messages.load(id, ['m3', 'm1'].map(messageId));
    expect(loaded).toEqual([aMessage('m3', 3, 'mit Ümläuten 🧊\u2028'), aMessage('m1', 1)]);
  });

  it('a message that is not there is refused by its name', async () => {
    await store.sessions.create(aSession());
    await expect(store.messages.load(id, [messageId('m9')])).rejects.toMatchObject({ code: 'CWM-2007' });
  });

  it('a message never changes: the same again is accepted, another under its id is refused', async () => {
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1)]);
    await store.messages.append(id, [aMessage('m1', 1)]);
    // What was read has its fields in another order than what was made.
    await store.messages.append(id, await store.messages.load(id, [messageId('m1')]));
    await expect(store.messages.append(id, [aMessage('m2', 2), aMessage('m1', 1, 'other')])).rejects.toMatchObject({
      code: 'CWM-1003',
    });
    await expect(store.messages.load(id, [messageId('m2')])).rejects.toMatchObject({ code: 'CWM-2007' });
    expect(await store.messages.load(id, [messageId('m1')])).toEqual([aMessage('m1', 1)]);
  });

  it('S4-04 a new message is one file and one line', async () => {
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1)]);
    expect(await readdir(join(directory, 'contexts/s1/messages'))).toEqual(['m1.json']);
    expect((await readdir(join(directory, 'contexts/s1'))).sort()).toEqual([
      'message_index.jsonl',
      'messages',
      'metadata.json',
    ]);
  });

  /** s2, which goes on from those messages of s1. */
  const goesOn = (...ids: string[]): Promise<void> =>
    store.sessions.create(aSession({ id: 's2', tokens: contextTokens(someIds), branches: mainBranch(ids) }), {
      from: id,
      messageIds: ids.map(messageId),
      tokenIds: someIds,
    });

  it('S0-11 messages and token ids that a session continues from outlive the session that they came from', async () => {
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1), aMessage('m2', 2)]);
    await goesOn('m1', 'm2');
    await store.sessions.delete(id);
    const s2 = sessionId('s2');
    expect(await store.messages.load(s2, [messageId('m2'), messageId('m1')])).toEqual([
      aMessage('m2', 2),
      aMessage('m1', 1),
    ]);
    expect(await store.sessions.loadTokens(s2, contextTokens(someIds).sha256)).toEqual(someIds);
    await store.messages.append(s2, [aMessage('m3', 3)]);
    expect((await store.check.verify(new AbortController().signal)).flatMap(({ problems }) => problems)).toEqual([
      'The lineage "l1" is missing.',
    ]);
  });

  it('a session whose starting content is missing is not created', async () => {
    await expect(goesOn('m1')).rejects.toMatchObject({ code: 'CWM-2001' });
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1)]);
    await expect(goesOn('m1', 'm9')).rejects.toMatchObject({ code: 'CWM-2007' });
    expect(await store.sessions.get(sessionId('s2'))).toBeNull();
    await goesOn('m1');
    await expect(goesOn('m1')).rejects.toMatchObject({ code: 'CWM-3004' });
  });

  it('token ids come back by their SHA-256, those of earlier turns, too', async () => {
    await store.sessions.create(aSession());
    const first = await store.sessions.saveTokens(id, someIds);
    expect(first).toBe(contextTokens(someIds).sha256);
    expect(await store.sessions.loadTokens(id, first)).toEqual(someIds);
    await store.sessions.update(nextVersion(aSession(), { tokens: contextTokens(someIds) }));
    const second = await store.sessions.saveTokens(id, [7]);
    expect(await store.sessions.loadTokens(id, first)).toEqual(someIds);
    expect(await store.sessions.loadTokens(id, second)).toEqual([7]);
  });

  it('every call that names an unknown session says so', async () => {
    const unknown = { code: 'CWM-2001' };
    await expect(store.sessions.delete(id)).rejects.toMatchObject(unknown);
    await expect(store.messages.append(id, [aMessage('m1', 1)])).rejects.toMatchObject(unknown);
    await expect(store.messages.load(id, [])).rejects.toMatchObject(unknown);
    await expect(store.sessions.saveTokens(id, [1])).rejects.toMatchObject(unknown);
    await expect(store.sessions.loadTokens(id, contextTokens([1]).sha256)).rejects.toMatchObject(unknown);
    await store.sessions.create(aSession());
  });

  it('S0-31 a deleted session is gone from the store and whole in the trash', async () => {
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1)]);
    await store.sessions.delete(id);
    expect(await store.sessions.get(id)).toBeNull();
    expect((await store.sessions.list(sessionsQuery())).total).toBe(0);
    const [trashed] = await readdir(join(directory, 'trash'));
    expect(trashed).toMatch(/^\d{8}T\d{9}Z-session-s1$/);
    expect(await readdir(join(directory, 'trash', trashed!, 'messages'))).toEqual(['m1.json']);
    await store.sessions.create(aSession());
    await expect(store.messages.load(id, [messageId('m1')])).rejects.toMatchObject({ code: 'CWM-2007' });
    await store.messages.append(id, [aMessage('m1', 1, 'a new life')]);
  });
});
