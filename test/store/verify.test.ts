import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import { aKvRecord, aManifest, aMessage, aSession, nextVersion, sessionId, someIds } from './builders.ts';
import { fill } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

describe('verify', () => {
  let directory: string;
  let store: FileStore;
  const verify = () => store.verify(new AbortController().signal);
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

  it('remembers what was set aside before', async () => {
    await writeFile(join(directory, 'contexts/s1/messages/m1.json'), 'damaged');
    await expect(store.loadMessages(sessionId('s1'), ['m1' as never])).rejects.toMatchObject({ code: 'CWM-4004' });
    await store.close();
    store = await openTestStore(directory);
    expect((await verify())[0]).toMatchObject({ checked: 1, problems: [expect.stringContaining('m1.json')] });
  });

  it('EC-031 finds a window without its session, its lineage or its messages', async () => {
    await store.createWindow(aManifest({ name: 'w1', messageIds: ['m1', 'm8', 'm9'] }), someIds, aKvRecord());
    const missing = 'Messages that window "w1" needs and its session does not have: 2.';
    expect(await problems()).toEqual([missing]);
    await rm(join(directory, 'lineages/l1.json'));
    expect(await problems()).toEqual(['The lineage "l1" is missing.', missing]);
    await store.deleteSession(sessionId('s1'));
    expect(await problems()).toEqual([
      'The lineage "l1" is missing.',
      'Window "w0" belongs to session "s1", which does not exist.',
      'Window "w1" belongs to session "s1", which does not exist.',
    ]);
  });

  it('finds a branch that names a message nobody has', async () => {
    const branches = { main: { name: 'main', messageIds: ['m2', 'm9'], parentMessageId: null } };
    await store.appendMessages(sessionId('s2'), [aMessage('m2', 1)]);
    await store.updateSession(nextVersion(aSession({ id: 's2' }), { branches }));
    expect(await problems()).toEqual(['Session "s2": The session has no message "m9".']);
  });

  it('finds token ids that are gone, and a message whose file is gone', async () => {
    await rm(join(directory, 'windows/w0/tokens.u32'));
    await rm(join(directory, 'contexts/s1/messages/m1.json'));
    const found = await problems();
    expect(found).toHaveLength(3);
    expect(found).toContainEqual(expect.stringContaining('"w0" are missing'));
    expect(found).toContainEqual(expect.stringContaining('"m1" is in the session\'s index'));
  });

  it('ends when it is aborted', async () => {
    const aborting = new AbortController();
    aborting.abort();
    await expect(store.verify(aborting.signal)).rejects.toMatchObject({ code: 'CWM-6003' });
  });
});
