import type * as Fs from 'node:fs';
import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { takeBackendLock } from '../../../src/backend/process/backendLock.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const calls = vi.hoisted(() => ({ refuses: '' }));

vi.mock('node:fs', async (original) => {
  const actual = await original<typeof Fs>();
  const refuse = (name: string): void => {
    if (calls.refuses.includes(name)) throw Object.assign(new Error('EPERM: refused'), { code: 'EPERM' });
  };
  const writeFileSync: typeof actual.writeFileSync = (...given) => {
    refuse('write');
    actual.writeFileSync(...given);
  };
  return { ...actual, writeFileSync };
});

const makeDirectory = temporaryDirectories();
const aMinuteAgo = new Date(Date.now() - 60_000);

afterEach(() => {
  calls.refuses = '';
  vi.useRealTimers();
});

it('a drive that refuses to be written costs the backend nothing', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const directory = makeDirectory();
  const result = takeBackendLock(directory, () => expect.unreachable('the lock was lost'));
  if (!result.held) throw new Error('the lock is free');
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  const before = readFileSync(path, 'utf8');
  utimesSync(path, aMinuteAgo, aMinuteAgo);
  calls.refuses = 'write';
  vi.advanceTimersByTime(60_000);
  expect(readFileSync(path, 'utf8')).toBe(before);
  expect(statSync(path).mtimeMs).toBeLessThan(aMinuteAgo.getTime() + 1000);
  calls.refuses = '';
  result.lock.dispose();
});
