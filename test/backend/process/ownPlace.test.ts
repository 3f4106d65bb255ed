import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type * as backendLock from '../../../src/backend/process/backendLock.ts';
import { identifyProcess } from '../../../src/backend/process/processIdentity.ts';
import { announceBackend as announceIn } from '../../../src/backend/process/recordFile.ts';
import { readBackendRecord } from '../../../src/client/backendRecord.ts';
import { OwnPlace } from '../../../src/backend/process/ownPlace.ts';
import type * as recordFile from '../../../src/backend/process/recordFile.ts';
import { backendRecordFile, type BackendRecord } from '../../../src/protocol/backendRecord.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

/** Why nothing can be written to a directory, by its path: the code of Node's error. */
const { refused } = vi.hoisted(() => {
  const codes = new Map<string, string>();
  const check = (directory: string): void => {
    const code = codes.get(directory);
    if (code !== undefined) throw Object.assign(new Error(code), { code });
  };
  return { refused: { codes, check } };
});
vi.mock('../../../src/backend/process/backendLock.ts', async (original) => {
  const own = await original<typeof backendLock>();
  const takeBackendLock: typeof own.takeBackendLock = (directory, onLost) => {
    refused.check(directory);
    return own.takeBackendLock(directory, onLost);
  };
  return { ...own, takeBackendLock };
});
vi.mock('../../../src/backend/process/recordFile.ts', async (original) => {
  const own = await original<typeof recordFile>();
  const announceBackend: typeof own.announceBackend = async (directory, record) => {
    refused.check(directory);
    return own.announceBackend(directory, record);
  };
  return { ...own, announceBackend };
});

const record: BackendRecord = { pid: process.pid, version: '1.0.0', address: '/a/socket', startedAt: '2026-11-29' };
const lost = (): void => {};

describe('the place of a backend', () => {
  const directory = temporaryDirectories();
  let storage: string;
  let runBase: string;
  beforeEach(() => {
    [storage, runBase] = [directory(), directory()];
    refused.codes.clear();
    vi.stubEnv('XDG_RUNTIME_DIR', runBase);
  });
  afterEach(() => vi.unstubAllEnvs());

  /** Takes the lock and gives it back. */
  const lockIn = (place: OwnPlace): boolean => {
    const result = place.takeLock(lost);
    if (result.held) result.lock.dispose();
    return result.held;
  };

  it('is the storage directory', async () => {
    const place = new OwnPlace(storage);
    expect(lockIn(place)).toBe(true);
    await place.announce(record);
    expect(place).toMatchObject({ directory: storage, readOnlyWhy: null });
    expect(existsSync(join(storage, backendRecordFile))).toBe(true);
    await place.withdraw(record);
    expect(existsSync(join(storage, backendRecordFile))).toBe(false);
  });

  it.each(['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT'])(
    'is a run directory of the user where the storage directory cannot be written (%s), and says why it only reads',
    (code) => {
      refused.codes.set(storage, code);
      const place = new OwnPlace(storage);
      expect(lockIn(place)).toBe(true);
      expect(dirname(place.directory)).toBe(runBase);
      expect(place.readOnlyWhy?.message).toContain(storage);
    },
  );

  it('is a run directory where a backend of another machine works on the storage directory, which is then only read', async () => {
    const lock = join(storage, 'backend.lock.7');
    writeFileSync(lock, JSON.stringify({ ...identifyProcess(process.pid), host: 'elsewhere', bootId: 'another' }));
    const place = new OwnPlace(storage);
    expect(lockIn(place)).toBe(true);
    expect(dirname(place.directory)).toBe(runBase);
    expect(place.readOnlyWhy?.message).toContain('in use on another machine, "elsewhere"');
    expect(readdirSync(storage)).toEqual(['backend.lock.7']);
    // Its own record is found, and not the newer one of the other machine.
    await place.announce({ ...record, host: hostname() });
    await announceIn(storage, { ...record, host: 'elsewhere', startedAt: '2027-01-01' });
    expect(await readBackendRecord(storage)).toMatchObject({ host: hostname() });
    // The same machine: another process has it.
    writeFileSync(lock, JSON.stringify(identifyProcess(process.pid)));
    const here = new OwnPlace(storage);
    expect(lockIn(here)).toBe(false);
    expect(here.readOnlyWhy).toBeNull();
  });

  it('does not exist where the lock fails for another reason', () => {
    refused.codes.set(storage, 'EMFILE');
    const place = new OwnPlace(storage);
    expect(() => place.takeLock(lost)).toThrow('EMFILE');
    expect(place).toMatchObject({ directory: storage, readOnlyWhy: null });
  });

  it('has the record alone in the run directory when the disk fills up behind the lock, and removes it there', async () => {
    const place = new OwnPlace(storage);
    expect(lockIn(place)).toBe(true);
    refused.codes.set(storage, 'ENOSPC');
    await place.announce(record);
    const other = new OwnPlace(storage);
    lockIn(other);
    const announced = join(other.directory, backendRecordFile);
    expect(dirname(other.directory)).toBe(runBase);
    expect(existsSync(announced)).toBe(true);
    expect(place).toMatchObject({ directory: storage, readOnlyWhy: null });
    await place.withdraw(record);
    expect(existsSync(announced)).toBe(false);
  });

  it('fails where the record cannot be written for another reason', async () => {
    const place = new OwnPlace(storage);
    refused.codes.set(storage, 'EMFILE');
    await expect(place.announce(record)).rejects.toThrow('EMFILE');
  });
});
