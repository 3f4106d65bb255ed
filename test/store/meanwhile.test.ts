import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import type { Files } from '../../src/store/disk/files.ts';
import { aKvRecord, aManifest, aPoint, aSession, aState, contextTokens, nextVersion } from './builders.ts';
import { lineageId, sessionId, someIds, windowName } from './builders.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { FakeClock, openTestStore } from './testStore.ts';

const id = sessionId('s');
const name = windowName('w');
const otherIds = [7, 7, 7];

describe('while somebody reads, others', () => {
  const memory = new MemoryFiles();
  let store: FileStore;
  let onLook: { readonly path: RegExp; readonly others: () => Promise<unknown> } | null;
  let others: Promise<unknown>;

  beforeEach(async () => {
    onLook = null;
    others = Promise.reject(new Error('Nothing was read.'));
    others.catch(() => undefined);
    const { files } = new FaultyFiles(memory);
    const looked = async <T>(path: string, found: T): Promise<T> => {
      if (onLook?.path.test(path)) {
        others = onLook.others();
        onLook = null;
        // What does not wait for the reader comes to its end here.
        for (let turn = 0; turn < 100; turn++) await setImmediate();
      }
      return found;
    };
    const looking: Files = {
      ...files,
      read: async (path) => looked(path, await files.read(path)),
      stat: async (path) => looked(path, await files.stat(path)),
    };
    await memory.removeTree('/store');
    store = await openTestStore('/store', { files: looking, clock: new FakeClock() });
    await store.lineages.create({ id: lineageId('l1'), salt: 'salt', generation: 0 });
    await store.sessions.create(aSession({ id }));
    await nameTokens(someIds);
    await store.windows.create(aManifest({ name, session: id }), someIds, aKvRecord());
  });

  /** When a file of this path has been looked at for the first time from now on. */
  const meanwhile = (path: RegExp, work: () => Promise<unknown>): void => {
    onLook = { path, others: work };
  };

  async function nameTokens(ids: readonly number[]): Promise<void> {
    const session = (await store.sessions.get(id))!;
    await store.sessions.saveTokens(id, ids);
    await store.sessions.update(nextVersion(session, { tokens: contextTokens(ids) }));
  }

  async function makeWindowAnew(): Promise<void> {
    await store.windows.delete(name);
    await store.windows.create(
      aManifest({ name, session: id, tokens: contextTokens(otherIds) }),
      otherIds,
      aKvRecord(),
    );
  }

  const problems = async (): Promise<string[]> => {
    const found = (await store.check.verify(new AbortController().signal)).flatMap((step) => step.problems);
    await others;
    return found;
  };

  it('end a turn, which is no damage of the token ids', async () => {
    meanwhile(/contexts\/s\/metadata/, () => nameTokens(otherIds));
    expect(await problems()).toEqual([]);
  });

  it('push out a recovery point, which is no damage of it', async () => {
    for (let point = 0; point < 10; point++) {
      await nameTokens([point]);
      await store.states.addRecoveryPoint(aPoint(`0000000${point}`, { session: id }));
    }
    await nameTokens([10]);
    meanwhile(/token_log/, () => store.states.addRecoveryPoint(aPoint('00000010', { session: id })));
    expect(await problems()).toEqual([]);
  });

  it('delete the session, whose state is not damaged for that', async () => {
    await store.states.save(id, aState(), 0);
    meanwhile(/contexts\/s\/state$/, () => store.sessions.delete(id));
    expect(await store.states.load(id)).toEqual(aState());
    await others;
    await expect(store.states.load(id)).rejects.toMatchObject({ code: 'CWM-2001' });
  });

  it('make another window of that name, of which nothing is set aside', async () => {
    for (const path of [/windows\/w\/manifest/, /windows\/w\/tokens/]) {
      meanwhile(path, makeWindowAnew);
      await store.windows.loadTokens(name);
      await others;
      expect(await store.windows.loadTokens(name)).toEqual(otherIds);
    }
    expect(store.problems).toEqual([]);
  });

  it('make another window of that name, which need not be like the one before', async () => {
    meanwhile(/windows\/w\/manifest/, makeWindowAnew);
    expect(await problems()).toEqual([]);
  });
});
