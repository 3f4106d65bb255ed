import { expect, it } from 'vitest';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { entriesIfThere } from '../../src/store/space/entriesIfThere.ts';

const failing = (code: string): Files => ({
  ...diskFiles,
  entries: () => Promise.reject(Object.assign(new Error(code), { code })),
});

it.each(['ENOENT', 'ENOTDIR'])('a directory that was removed (%s) has no entries', async (code) => {
  expect(await entriesIfThere(failing(code), '/gone')).toEqual([]);
});

it('a directory that cannot be read is not taken for an empty one', async () => {
  await expect(entriesIfThere(failing('EACCES'), '/closed')).rejects.toThrow('EACCES');
});
