import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aKvRecord,
  aManifest,
  aSession,
  contextTokens,
  nextVersion,
  sessionId,
  someIds,
  windowName,
} from './builders.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { FakeClock, openTestStore, temporaryDirectory } from './testStore.ts';

const s1 = sessionId('s1');
const dayMs = 24 * 60 * 60 * 1000;

describe('recovery at start', () => {
  let directory: string;
  let store: FileStore;
  const session = aSession({ tokens: contextTokens(someIds) });
  const freezeWindow = (name = 'w1') => store.windows.create(aManifest({ name, mode: 'freeze' }), someIds, aKvRecord());
  const reopen = async (): Promise<FileStore> => {
    await store.close();
    return (store = await openTestStore(directory));
  };

  beforeEach(async () => {
    directory = await temporaryDirectory();
    store = await openTestStore(directory);
    await store.sessions.create(session);
  });

  it('EC-040 finishes a freeze whose window is there and whose session has not continued', async () => {
    await freezeWindow();
    expect(await store.sessions.get(s1)).toEqual(session);
    await reopen();
    const frozen = nextVersion(session, { lifecycle: 'frozen', frozenAs: 'w1' });
    expect(await store.sessions.get(s1)).toEqual(frozen);
    expect(store.problems).toMatchObject([{ what: expect.stringContaining('freeze was finished') as unknown }]);
    expect(await readdir(join(directory, 'intents'))).toEqual([]);
    await reopen();
    expect(await store.sessions.get(s1)).toEqual(frozen);
  });

  it('EC-020 on a full disk the store opens all the same, so that room can be made; a later start finishes the freeze', async () => {
    await freezeWindow();
    await store.close();
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    const files: Files = { ...diskFiles, create: () => Promise.reject(full), append: () => Promise.reject(full) };
    store = await openTestStore(directory, { files });
    expect(await store.sessions.get(s1)).toEqual(session);
    await store.trash.empty('all');
    await reopen();
    expect(await store.sessions.get(s1)).toMatchObject({ lifecycle: 'frozen', frozenAs: 'w1' });
    expect(await readdir(join(directory, 'intents'))).toEqual([]);
  });

  it('does not freeze a session that continued after its window was made', async () => {
    await freezeWindow();
    const next = nextVersion(session, { title: 'went on' });
    await store.sessions.update(next);
    expect(await readdir(join(directory, 'intents'))).toEqual([]);
    await reopen();
    expect(await store.sessions.get(s1)).toEqual(next);
  });

  it('does not freeze again what was thawed from that window with the same context', async () => {
    await freezeWindow();
    const frozen = nextVersion(session, { lifecycle: 'frozen', frozenAs: 'w1' });
    await store.sessions.update(frozen);
    const thawed = nextVersion(frozen, {
      lifecycle: 'thawed',
      frozenAs: null,
      thawedFrom: { window: 'w1', verdict: 'proven' },
    });
    await store.sessions.update(thawed);
    await reopen();
    expect(await store.sessions.get(s1)).toEqual(thawed);
  });

  it('forgets a freeze whose window was deleted again, or never appeared', async () => {
    await freezeWindow();
    await store.windows.delete(windowName('w1'));
    await store.windows.create(aManifest({ name: 'w1', mode: 'checkpoint' }), someIds, aKvRecord());
    await reopen();
    expect(await store.sessions.get(s1)).toEqual(session);
  });

  it('freezes nothing for a checkpoint or a clone', async () => {
    await store.windows.create(aManifest({ name: 'w1', mode: 'checkpoint' }), someIds, aKvRecord());
    await store.windows.create(aManifest({ name: 'w2', mode: 'clone' }), someIds, aKvRecord());
    await reopen();
    expect(await store.sessions.get(s1)).toEqual(session);
  });

  it('does not stop the store from opening when the session of a freeze is damaged', async () => {
    await freezeWindow();
    await writeFile(join(directory, 'contexts/s1/metadata.json'), 'damaged');
    await reopen();
    await expect(store.sessions.get(s1)).rejects.toMatchObject({ code: 'CWM-4004' });
    expect(await store.windows.get(windowName('w1'))).not.toBeNull();
  });

  it('removes unfinished files of the last run', async () => {
    await mkdir(join(directory, 'tmp/half/messages'), { recursive: true });
    await writeFile(join(directory, 'tmp/half/metadata.json'), 'half');
    await writeFile(join(directory, 'tmp/file'), 'half');
    await reopen();
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  });

  it('S4-05 empties the trash after seven days and leaves what it did not put there', async () => {
    const clock = new FakeClock();
    await store.sessions.delete(s1);
    await mkdir(join(directory, 'trash/mine'));
    const openAfter = async (ms: number): Promise<string[]> => {
      await store.close();
      clock.advance(ms);
      store = await openTestStore(directory, { clock });
      return (await readdir(join(directory, 'trash'))).map((name) => name.replace(/^.*Z-/, '')).sort();
    };
    expect(await openAfter(7 * dayMs - 1)).toEqual(['mine', 'session-s1']);
    expect(await openAfter(-30 * dayMs)).toEqual(['mine', 'session-s1']);
    expect(await openAfter(30 * dayMs + 2)).toEqual(['mine']);
  });
});
