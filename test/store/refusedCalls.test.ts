import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { nullIfUnreadable } from '../../src/store/disk/unreadable.ts';
import type { Quarantine } from '../../src/store/disk/quarantine.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { isUnwritable } from '../../src/store/disk/storageError.ts';
import { StateFolders } from '../../src/store/states/stateFolders.ts';
import { temporaryDirectory } from './testStore.ts';

/** The call that the system refuses, and what it says; null while it refuses none. */
const refused = vi.hoisted(() => ({ call: null as string | null, code: '' }));

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof fs>();
  const fail = (name: string): void => {
    if (refused.call === name) throw Object.assign(new Error(`${refused.code}: refused`), { code: refused.code });
  };
  const guarded = (name: 'statfs' | 'chmod' | 'link') =>
    vi.fn(async (...given: unknown[]) => {
      fail(name);
      return (actual[name] as (...args: unknown[]) => unknown)(...given);
    });
  const open = async (...given: Parameters<typeof actual.open>) => {
    const handle = await actual.open(...given);
    const isDirectory = (await handle.stat()).isDirectory();
    if (isDirectory) handle.sync = async () => fail('fsync of a directory');
    return handle;
  };
  return { ...actual, statfs: guarded('statfs'), chmod: guarded('chmod'), link: guarded('link'), open };
});

/** What systems, sandboxes and drives are known to say, and one that nobody has seen. */
const refusals = [
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EPERM',
  'EACCES',
  'EINVAL',
  'EBADF',
  'ENOTTY',
  'EISDIR',
  'UNKNOWN',
  'ENEVERSEEN',
];

afterEach(() => {
  refused.call = null;
});

const refuse = (call: string, code: string): void => {
  refused.call = call;
  refused.code = code;
};

describe.each(refusals)('an optional call that the system refuses with %s', (code) => {
  it('is done without: free space, a directory on the disk, modes', async () => {
    const directory = await temporaryDirectory();
    refuse('statfs', code);
    expect(await diskFiles.freeBytes(directory)).toBeNull();
    expect(await diskFiles.freeFiles(directory)).toBeNull();
    refuse('fsync of a directory', code);
    await diskFiles.syncDirectory(directory);
    refuse('chmod', code);
    await diskFiles.makeDirectory(directory);
  });

  it('is done without where it was a link: the state is written into its own file', async () => {
    const directory = await temporaryDirectory();
    refuse('link', code);
    const peer = new StateFolders(diskFiles).open(directory);
    const state = { data: {}, metadata: {}, version: 1, lastUpdated: '2026-01-01T00:00:00.000Z' };
    await peer.write('s' as never, state, 0);
    expect((await fs.readdir(directory)).filter((name) => name.endsWith('.json'))).toHaveLength(1);
    await expect(peer.write('s' as never, state, 0)).rejects.toMatchObject({
      code: expect.stringMatching(/^CWM-/),
    });
  });

  it('is no reason to hide other records, nor to refuse reading', async () => {
    const note = vi.fn();
    const failing = () => Promise.reject(Object.assign(new Error(code), { code }));
    expect(await nullIfUnreadable({ note } as unknown as Quarantine, '/x', failing)).toBeNull();
    expect(note).toHaveBeenCalledOnce();
    expect(isUnwritable(Object.assign(new Error(code), { code }))).toBe(true);
  });
});

it.each(['EIO', 'ENOSPC', 'EDQUOT'])(
  'a fsync that failed with %s is a failure: the write is not acknowledged',
  async (code) => {
    const directory = await temporaryDirectory();
    refuse('fsync of a directory', code);
    await expect(diskFiles.syncDirectory(directory)).rejects.toMatchObject({ code });
    await expect(diskFiles.syncDirectory(join(directory, 'gone'))).rejects.toMatchObject({ code: 'ENOENT' });
  },
);

it.each(['EMFILE', 'ENOMEM'])('a machine that says %s can read no record: none is left out for it', async (code) => {
  const failing = () => Promise.reject(Object.assign(new Error(code), { code }));
  await expect(nullIfUnreadable({ note: vi.fn() } as unknown as Quarantine, '/x', failing)).rejects.toMatchObject({
    code,
  });
  expect(isUnwritable(Object.assign(new Error(code), { code }))).toBe(false);
});
