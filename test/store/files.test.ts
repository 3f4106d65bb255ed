import { statfs, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../src/store/disk/files.ts';
import { temporaryDirectory } from './testStore.ts';
import { eventually } from '../support/eventually.ts';

const bytes = Buffer.from('content');

describe('files on the disk', () => {
  it('a fingerprint is settled only when the file has been still for a while', async () => {
    const path = join(await temporaryDirectory(), 'file');
    await diskFiles.create(path, bytes);
    expect(await diskFiles.stat(path)).toMatchObject({ kind: 'file', sizeBytes: 7, isSettled: false });
    await eventually(async () => expect(await diskFiles.stat(path)).toMatchObject({ isSettled: true }));
    await diskFiles.append(path, bytes);
    expect(await diskFiles.stat(path)).toMatchObject({ sizeBytes: 14, isSettled: false });
  });

  it('a file is created only where nothing is, and a link where no name is', async () => {
    const directory = await temporaryDirectory();
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    await diskFiles.create(one, bytes);
    await expect(diskFiles.create(one, bytes)).rejects.toMatchObject({ code: 'EEXIST' });
    await diskFiles.link(one, two);
    await expect(diskFiles.link(one, two)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await diskFiles.read(two)).toEqual(bytes);
  });

  it('a directory with something in it is never replaced', async () => {
    const directory = await temporaryDirectory();
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    for (const path of [one, two]) {
      await diskFiles.makeDirectory(path);
      await diskFiles.create(join(path, 'file'), Buffer.from(path));
    }
    await expect(diskFiles.rename(one, two)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTEMPTY|EEXIST|EPERM)$/) as unknown,
    });
    expect(await diskFiles.read(join(two, 'file'))).toEqual(Buffer.from(two));
  });

  it('a directory tells the size, the time and the names of each file, and follows no link', async () => {
    const directory = await temporaryDirectory();
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    await diskFiles.create(one, bytes);
    await diskFiles.link(one, two);
    await utimes(one, 1_700_000_000, 1_700_000_000);
    await diskFiles.makeDirectory(join(directory, 'below'));
    await symlink(one, join(directory, 'link'));
    const entries = (await diskFiles.entries(directory)).sort((a, b) => (a.name < b.name ? -1 : 1));
    const shared = { kind: 'file', sizeBytes: 7, modifiedMs: 1_700_000_000_000, names: 2 };
    expect(entries).toMatchObject([
      { name: 'below', kind: 'directory' },
      { name: 'link', kind: 'link' },
      { name: 'one', ...shared },
      { name: 'two', ...shared, inode: entries[2]?.inode },
    ]);
    await expect(diskFiles.entries(one)).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it('EC-020 the disk tells what is free', async () => {
    const { bavail, bsize } = await statfs(tmpdir());
    const free = await diskFiles.freeBytes(tmpdir());
    // Others write meanwhile.
    expect(Math.abs(Number(free) - bavail * bsize)).toBeLessThan(1e9);
    await expect(diskFiles.freeBytes(join(tmpdir(), 'no', 'such'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('what is not there has no stat, and removing its tree is no error', async () => {
    const path = join(await temporaryDirectory(), 'nothing');
    expect(await diskFiles.stat(path)).toBeNull();
    expect(await diskFiles.stat(join(path, 'below'))).toBeNull();
    await diskFiles.removeTree(path);
    await expect(diskFiles.remove(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
