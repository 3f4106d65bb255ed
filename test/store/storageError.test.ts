import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../src/store/disk/files.ts';
import { isFull, roomLeft, storageError } from '../../src/store/disk/storageError.ts';
import { aSession, sessionId } from './builders.ts';
import { FaultyFiles } from './faultyFiles.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill } from './operations.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

const failure = (code: string): Error => Object.assign(new Error(code), { code });

describe('EC-020 what stands in the way of a write is named', () => {
  it.each([
    ['a full disk', 'ENOSPC', { bytes: 0, files: 4000 }, /^The disk of the storage directory \/s is full\.$/],
    ['a full disk of which nothing else is known', 'ENOSPC', null, /^The disk of the storage directory \/s is full\.$/],
    [
      'inodes that are used up',
      'ENOSPC',
      { bytes: 154e6, files: 0 },
      /although 154 MB are free: it has no inodes left\.$/,
    ],
    [
      'a quota',
      'EDQUOT',
      { bytes: 154e6, files: 4000 },
      /^Your disk quota for the storage directory \/s is used up\.$/,
    ],
  ])('%s', (_, code, left, message) => {
    const error = storageError(failure(code), 'write', '/s', left);
    expect(error.name).toBe('StorageFull');
    expect(error.message).toMatch(message);
    expect(isFull(failure(code))).toBe(true);
  });

  it('the store asks the file system when a write finds no room', async () => {
    const memory = new MemoryFiles();
    const faulty = new FaultyFiles(memory);
    const store = await openTestStore('/home/me/store', { files: faulty.files });
    await fill(store);
    memory.free = 154e6;
    memory.freeInodes = 0;
    faulty.heal();
    faulty.fillFrom(0);
    await expect(store.sessions.create(aSession({ id: 'more' }))).rejects.toThrow(/no inodes left/);
    faulty.heal();
    expect(await store.sessions.get(sessionId('more'))).toBeNull();
    await store.close();
  });

  it('a file system that cannot be asked keeps its error', async () => {
    const directory = await temporaryDirectory();
    expect(await roomLeft(diskFiles, directory)).not.toBeNull();
    expect(await roomLeft(diskFiles, `${directory}/no/such`)).toBeNull();
  });
});
