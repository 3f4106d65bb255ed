import { expect, test } from 'vitest';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { connectBackend } from '../../src/client/connectBackend.ts';

const makeDirectory = temporaryDirectories();

test('a client that may start no backend says that none runs', async () => {
  await expect(connectBackend({ storage: makeDirectory(), start: null })).rejects.toMatchObject({
    code: expect.stringMatching(/^CWM-\d{4}$/) as string,
  });
});
