import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { encodeRecord } from '../../src/store/disk/record.ts';
import {
  aKvRecord,
  aManifest,
  aMessage,
  aSession,
  mainBranch,
  nextVersion,
  sessionId,
  sessionsQuery,
  someIds,
} from './builders.ts';
import { fill } from './operations.ts';
import { openTestStore, repair, temporaryDirectory } from './testStore.ts';

describe('verify', () => {
  let directory: string;
  let store: FileStore;
  const verify = () => store.check.verify(new AbortController().signal);
  const problems = async (): Promise<string[]> => (await verify()).flatMap((step) => step.problems);

  beforeEach(async () => {
    directory = await temporaryDirectory();
    store = await openTestStore(directory);
    await fill(store);
  });

  it('names what it looked at, and finds nothing in a whole store', async () => {
    expect(await verify()).toEqual([
      { step: 'damaged files set aside', checked: 0, problems: [] },
      { step: 'session records and token ids', checked: 2, problems: [] },
      { step: 'messages', checked: 2, problems: [] },
      { step: 'states and recovery points', checked: 2, problems: [] },
      { step: 'window manifests', checked: 1, problems: [] },
      { step: 'window token ids, KV records and receipts', checked: 1, problems: [] },
      { step: 'lineages of sessions and windows', checked: 1, problems: [] },
      { step: 'sessions and messages of windows', checked: 1, problems: [] },
      { step: 'audit log', checked: 0, problems: [] },
      { step: 'index equals files', checked: 3, problems: [] },
    ]);
  });

  it('finds nothing in a store that is being written to', async () => {
    const looked = new AbortController();
    const write = async (): Promise<void> => {
      const session = (await store.sessions.get(sessionId('s2')))!;
      await store.sessions.update(nextVersion(session, { title: `Number ${session.version}` }));
      if (!looked.signal.aborted) await write();
    };
    const writing = write();
    for (let times = 0; times < 3; times++) expect(await problems()).toEqual([]);
    looked.abort();
    await writing;
  });

  it('finds nothing where a session is deleted while its messages are read', async () => {
    let reads = 0;
    const files: Files = {
      ...diskFiles,
      read: async (path) => {
        if (path.includes('s2') && path.endsWith('message_index.jsonl') && ++reads === 1) {
          await store.sessions.delete(sessionId('s2'));
        }
        return diskFiles.read(path);
      },
    };
    await store.messages.append(sessionId('s2'), [aMessage('m2', 1)]);
    await store.sessions.update(
      nextVersion((await store.sessions.get(sessionId('s2')))!, { branches: mainBranch(['m2']) }),
    );
    await store.close();
    store = await openTestStore(directory, { files });
    expect(await problems()).toEqual([]);
    expect(reads).toBeGreaterThan(0);
  });

  it('finds a row of the index that its files do not say, and a repair mends it', async () => {
    await store.sessions.list(sessionsQuery());
    await writeFile(
      join(directory, 'contexts/s2/metadata.json'),
      encodeRecord(aSession({ id: 's2', title: 'Changed behind its back' })),
    );
    expect(await problems()).toEqual(['The index differs from the files; a repair rebuilds it.']);
    await repair(store);
    expect(await problems()).toEqual([]);
  });

  it('remembers what was set aside before', async () => {
    await writeFile(join(directory, 'contexts/s1/messages/m1.json'), 'damaged');
    await expect(store.messages.load(sessionId('s1'), ['m1' as never])).rejects.toMatchObject({ code: 'CWM-4004' });
    await store.close();
    store = await openTestStore(directory);
    expect((await verify())[0]).toMatchObject({ checked: 1, problems: [expect.stringContaining('m1.json')] });
  });

  it('EC-031 finds a window without its session, its lineage or its messages', async () => {
    await store.windows.create(aManifest({ name: 'w1', messageIds: ['m1', 'm8', 'm9'] }), someIds, aKvRecord());
    const missing = 'Messages that window "w1" needs and its session does not have: 2.';
    expect(await problems()).toEqual([missing]);
    await rm(join(directory, 'lineages/l1.json'));
    expect(await problems()).toEqual(['The lineage "l1" is missing.', missing]);
    await store.sessions.delete(sessionId('s1'));
    expect(await problems()).toEqual([
      'The lineage "l1" is missing.',
      'Window "w0" belongs to session "s1", which does not exist.',
      'Window "w1" belongs to session "s1", which does not exist.',
    ]);
  });

  it('finds a branch that names a message nobody has', async () => {
    const branches = { main: { name: 'main', head: 'm9', length: 2, parentMessageId: null } };
    await store.messages.append(sessionId('s2'), [aMessage('m2', 1)]);
    await store.sessions.update(nextVersion(aSession({ id: 's2' }), { branches }));
    expect(await problems()).toEqual([
      'Session "s2": The session has no message "m9".',
      'Session "s2": Branches whose earlier messages are lost: 1.',
    ]);
  });

  it('finds token ids that are gone, and a message whose file is gone', async () => {
    await rm(join(directory, 'windows/w0/tokens.u32'));
    await rm(join(directory, 'contexts/s1/messages/m1.json'));
    const found = await problems();
    expect(found).toHaveLength(3);
    expect(found).toContainEqual(expect.stringContaining('"w0" are missing'));
    expect(found).toContainEqual(expect.stringContaining('"m1" is in the session\'s index'));
  });

  it('S0-18 a repair sets damaged records aside by name, loses no message, and what is whole stays as it is', async () => {
    await store.messages.append(sessionId('s1'), [aMessage('m2', 2), aMessage('m3', 3)]);
    await writeFile(join(directory, 'contexts/s1/metadata.json'), 'damaged');
    await writeFile(join(directory, 'contexts/s1/messages/m2.json'), 'damaged');
    const whole = await store.sessions.get(sessionId('s2'));
    const repairs = await repair(store);
    expect(repairs).toEqual([
      expect.stringMatching(/^contexts\/s1\/metadata\.json was damaged\. It was moved to quarantine\//),
      expect.stringMatching(/^contexts\/s1\/messages\/m2\.json was damaged\. It was moved to quarantine\//),
      'The record of session "s1" was rebuilt from its 2 messages.',
    ]);
    const anew = await store.sessions.get(sessionId('s1'));
    expect(anew?.branches['main']).toMatchObject({ head: 'm3', length: 3 });
    expect(anew?.lineage).toBe('l1');
    expect(await store.sessions.get(sessionId('s2'))).toEqual(whole);
    expect(await repair(store)).toEqual([]);
  });

  it.each([
    [`${'x'.repeat(59)}😀 and more`, `${'x'.repeat(59)}…`],
    [' \n ', 's3'],
  ])('S0-18 a rebuilt session is called by the first words of its messages, as a new one: %j', async (text, title) => {
    await store.sessions.create(aSession({ id: 's3', lineage: 'l1' }));
    await store.messages.append(sessionId('s3'), [aMessage('m1', 1, text)]);
    await rm(join(directory, 'contexts/s3/metadata.json'));
    await repair(store);
    expect((await store.sessions.get(sessionId('s3')))?.title).toBe(title);
  });

  it('ends when it is aborted', async () => {
    const aborting = new AbortController();
    aborting.abort();
    await expect(store.check.verify(aborting.signal)).rejects.toMatchObject({ code: 'CWM-6003' });
  });
});
