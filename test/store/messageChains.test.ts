import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { FileStore } from '../../src/store/fileStore.ts';
import { aMessage, aSession, messageId, sessionId } from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { openTestStore } from './testStore.ts';

const id = sessionId('s1');
const chain = (store: FileStore, head: string): Promise<readonly string[]> => store.messages.chain(id, messageId(head));

describe('the messages that lead to one', () => {
  let memory: MemoryFiles;
  let store: FileStore;
  beforeEach(async () => {
    memory = new MemoryFiles();
    store = await openTestStore('/store', { files: memory });
    await store.sessions.create(aSession());
    await store.messages.append(id, [aMessage('m1', 1), aMessage('m2', 2), aMessage('m3', 3)]);
  });
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await openTestStore('/store', { files: memory });
  };

  it('S4-02 two lines share what is before them and grow apart', async () => {
    await store.messages.append(id, [{ ...aMessage('other', 3), parentId: messageId('m2') }]);
    for (let look = 0; look < 2; look++) {
      expect(await chain(store, 'm3')).toEqual(['m1', 'm2', 'm3']);
      expect(await chain(store, 'other')).toEqual(['m1', 'm2', 'other']);
      await reopen();
    }
    expect(await store.messages.chain(id, null)).toEqual([]);
  });

  it('N5 are in memory for the hundred sessions that were used last, and read again for another one', async () => {
    const sessions = Array.from({ length: 101 }, (_, at) => sessionId(`n-${at}`));
    const chainOf = (at: number): Promise<readonly string[]> => store.messages.chain(sessions[at]!, messageId('m1'));
    for (const [at, each] of sessions.entries()) {
      await store.sessions.create(aSession({ id: each }));
      await store.messages.append(each, [aMessage('m1', 1)]);
      await chainOf(at);
    }
    const read = vi.spyOn(memory, 'read');
    const readOf = async (at: number): Promise<boolean> => {
      read.mockClear();
      expect(await chainOf(at)).toEqual(['m1']);
      return read.mock.calls.some(([file]) => file === `/store/contexts/n-${at}/message_index.jsonl`);
    };
    expect([await readOf(1), await readOf(100), await readOf(0)]).toEqual([false, false, true]);
  });

  it('are known without the index', async () => {
    await memory.remove('/store/contexts/s1/message_index.jsonl');
    await reopen();
    expect(await chain(store, 'm3')).toEqual(['m1', 'm2', 'm3']);
  });

  it('are known when a message and its line are lost, where only one can have been before it', async () => {
    await memory.remove('/store/contexts/s1/messages/m2.json');
    const index = await memory.read('/store/contexts/s1/message_index.jsonl');
    index[index.indexOf(0x0a) + 5]! ^= 1;
    await reopen();
    expect(await chain(store, 'm3')).toEqual(['m1', 'm2', 'm3']);
  });

  it('are refused when nobody can know them', async () => {
    await expect(chain(store, 'm9')).rejects.toMatchObject({ code: 'CWM-4004' });
  });
});
