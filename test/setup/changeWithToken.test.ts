import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { applied, undone, writeWithToken } from '../../src/setup/changeWithToken.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();

test('a configuration in a form that nobody can change safely is refused with the reason, before and after a change', () => {
  const fail = (): never => {
    throw new Error('Line 3 has no end.');
  };
  const change = { file: '/home/me/settings.json', apply: fail, undo: fail };
  const refused = expect.objectContaining({
    name: 'InvalidConfig',
    hint: 'Line 3 has no end. Correct it, or change it by hand.',
  }) as Error;
  expect(() => applied(change, '{')).toThrow(refused);
  expect(() => undone(change, '{', null)).toThrow(refused);
});

test('where no token is given, the configuration is as it was before', async () => {
  const file = join(makeDirectory(), 'settings.json');
  writeFileSync(file, 'mine');
  const change = { file, apply: (before: string | null) => `${before} and a URL`, undo: (now: string) => now };
  const refused = writeWithToken(
    change,
    () => Promise.reject(new Error('The backend is away.')),
    () => change,
  );
  await expect(refused).rejects.toThrow('The backend is away.');
  expect(readFileSync(file, 'utf8')).toBe('mine');
});
