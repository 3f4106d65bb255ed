import { beforeEach, describe, expect, it, vi } from 'vitest';
import { range } from '../support/range.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { aPoint, aSession, contextTokens, nextVersion, sessionId } from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { openTestStore } from './testStore.ts';

const id = sessionId('s1');
const path = '/store/contexts/s1/token_log.jsonl';

describe('the log of token ids', () => {
  let memory: MemoryFiles;
  let store: FileStore;
  beforeEach(async () => {
    memory = new MemoryFiles();
    store = await openTestStore('/store', { files: memory });
    await store.sessions.create(aSession());
  });
  const sizeBytes = async (): Promise<number> => (await memory.read(path)).length;
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await openTestStore('/store', { files: memory });
  };
  const name = async (ids: readonly number[]): Promise<void> => {
    await store.sessions.saveTokens(id, ids);
    await store.sessions.update(nextVersion((await store.sessions.get(id))!, { tokens: contextTokens(ids) }));
  };

  it('grows by what is new, whatever there was before', async () => {
    await name(range(20_000));
    const before = await sizeBytes();
    await name(range(20_010));
    expect((await sizeBytes()) - before).toBeLessThan(500);
    await reopen();
    await name(range(20_020));
    expect((await sizeBytes()) - before).toBeLessThan(1000);
    await reopen();
    for (const length of [20_000, 20_010, 20_020])
      expect(await store.sessions.loadTokens(id, contextTokens(range(length)).sha256)).toEqual(range(length));
  });

  it('has lists that part, that shrink and that come back', async () => {
    const lists = [range(9), [...range(5), 77, 78], range(5), [...range(5), 77, 78], [4, 4], [], range(9), [0, 1, 9]];
    for (const ids of lists) await name(ids);
    for (const ids of lists) expect(await store.sessions.loadTokens(id, contextTokens(ids).sha256)).toEqual(ids);
    await reopen();
    for (const ids of lists) expect(await store.sessions.loadTokens(id, contextTokens(ids).sha256)).toEqual(ids);
  });

  it('EC-050 a damaged line costs only the lists that rest on it, and the next one is whole again', async () => {
    await name(range(50));
    const first = await sizeBytes();
    await name(range(60));
    await name([...range(60), 5]);
    (await memory.read(path))[first + 100]! ^= 1;
    await reopen();
    expect(await store.sessions.loadTokens(id, contextTokens(range(50)).sha256)).toEqual(range(50));
    await expect(store.sessions.loadTokens(id, contextTokens([...range(60), 5]).sha256)).rejects.toMatchObject({
      code: 'CWM-4004',
    });
    await name(range(70));
    await reopen();
    expect(await store.sessions.loadTokens(id, contextTokens(range(70)).sha256)).toEqual(range(70));
  });

  it('N5 is in memory for the hundred sessions that were used last, and read again for another one', async () => {
    const sessions = range(101).map((at) => sessionId(`n-${at}`));
    for (const each of sessions) {
      await store.sessions.create(aSession({ id: each }));
      await store.sessions.saveTokens(each, range(20));
    }
    const read = vi.spyOn(memory, 'read');
    const readOf = async (at: number): Promise<boolean> => {
      read.mockClear();
      expect(await store.sessions.loadTokens(sessions[at]!, contextTokens(range(20)).sha256)).toEqual(range(20));
      return read.mock.calls.some(([file]) => file === `/store/contexts/n-${at}/token_log.jsonl`);
    };
    expect([await readOf(1), await readOf(100), await readOf(0)]).toEqual([false, false, true]);
    // It has taken the place of the one that was used longest ago.
    expect([await readOf(0), await readOf(1), await readOf(2)]).toEqual([false, false, true]);
  });

  it('is rewritten when it is mostly lists that nothing names, and retains those of branches and recovery points', async () => {
    const other = range(3000).map((at) => at + 7);
    const pointed = range(2000).map((at) => at * 3);
    await name(pointed);
    await store.states.addRecoveryPoint(aPoint('00000001'));
    await name(other);
    const session = (await store.sessions.get(id))!;
    const branch = { name: 'other', head: null, length: 0, parentMessageId: null, tokens: contextTokens(other) };
    await store.sessions.update(nextVersion(session, { branches: { ...session.branches, other: branch } }));
    const largest = 40_000;
    for (let turn = 0; turn < 12; turn++) await name(range(largest).map((at) => at + turn));
    expect(await sizeBytes()).toBeLessThan(4.2 * largest * 5.4 + 1024 * 1024);
    await reopen();
    expect(await store.sessions.loadTokens(id, contextTokens(pointed).sha256)).toEqual(pointed);
    expect(await store.sessions.loadTokens(id, contextTokens(other).sha256)).toEqual(other);
    const steps = await store.check.verify(new AbortController().signal);
    expect(steps.find(({ step }) => step.includes('token ids'))?.problems).toEqual([]);
  });
});
