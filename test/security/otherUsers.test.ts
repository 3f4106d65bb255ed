import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ownerProblem } from '../../src/base/fileOwner.ts';
import { sha256Hex } from '../../src/base/hash.ts';
import { apiVersions, productVersion } from '../../src/protocol/version.ts';
import { readRecord, realBackends, realStart } from '../client/support/realBackends.ts';
import { until } from '../support/until.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const opened: Server[] = [];
const directories: string[] = [];
/** No user of this machine. */
const otherUser = 54_321;
/** Beyond the largest id that Linux gives to a process. */
const noProcess = 2 ** 22 + 1;

afterEach(() => {
  for (const server of opened.splice(0)) server.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A program that pretends to be the backend of `storage`, and everything that was sent to it. */
async function impostor(storage: string): Promise<{ heard: string[]; address: string }> {
  const heard: string[] = [];
  const place = mkdtempSync(join(tmpdir(), 'cwm-'));
  directories.push(place);
  const address = join(place, 'backend.sock');
  const server = createServer((request, response) => {
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => heard.push(chunk));
    heard.push(`${request.method} ${request.url}`);
    response.end(JSON.stringify({ pid: noProcess, status: 'healthy' }));
  });
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const record = { pid: noProcess, version: productVersion, api: apiVersions, address, startedAt: '' };
  writeFileSync(join(storage, 'backend.json'), JSON.stringify(record), { mode: 0o600 });
  return { heard, address };
}

describe('ownership in numbers', () => {
  it('trusts what this user or the administrator owns and nobody else may change', () => {
    expect(ownerProblem({ uid: 1000, mode: 0o40700 }, 1000)).toBeNull();
    expect(ownerProblem({ uid: 0, mode: 0o40755 }, 1000)).toBeNull();
    expect(ownerProblem({ uid: 1001, mode: 0o40700 }, 1000)).toBe('foreign');
    expect(ownerProblem({ uid: 1001, mode: 0o40700 }, 0)).toBe('foreign');
    expect(ownerProblem({ uid: 1000, mode: 0o40770 }, 1000)).toBe('open');
    expect(ownerProblem({ uid: 1000, mode: 0o100602 }, 1000)).toBe('open');
    expect(ownerProblem({ uid: 1, mode: 0o777 }, undefined)).toBeNull();
  });
});

// Giving a file to another user needs the administrator.
describe.skipIf(process.getuid?.() !== 0)('S0-50 what another user made beforehand', () => {
  it('the control: a backend that this user made is believed', async () => {
    const storage = makeStorage();
    const { heard } = await impostor(storage);
    await client(storage, { start: null })
      .call('health', {})
      .catch(() => undefined);
    expect(heard).not.toEqual([]);
  });

  it('nothing is sent to a backend in a storage directory of another user', async () => {
    const storage = makeStorage();
    const { heard } = await impostor(storage);
    chownSync(storage, otherUser, otherUser);
    await expect(client(storage).call('createSession', { title: 'a secret' })).rejects.toMatchObject({
      code: 'CWM-8001',
      message: expect.stringContaining(`number ${otherUser}`),
    });
    expect(heard).toEqual([]);
    expect(existsSync(join(storage, 'backend.log'))).toBe(false);
  });

  it.each([
    ['the record', (storage: string) => join(storage, 'backend.json')],
    ['the socket', (_: string, address: string) => address],
    ['the directory of the socket', (_: string, address: string) => dirname(address)],
  ])('nothing is sent when %s belongs to another user', async (_, planted) => {
    const storage = makeStorage();
    const { heard, address } = await impostor(storage);
    chownSync(planted(storage, address), otherUser, otherUser);
    await expect(client(storage, { start: null }).call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    expect(heard).toEqual([]);
  });

  it.each([
    ['the record', (storage: string) => join(storage, 'backend.json')],
    ['the directory of the socket', (_: string, address: string) => dirname(address)],
  ])('nothing is sent when other users may write %s', async (_, planted) => {
    const storage = makeStorage();
    const { heard, address } = await impostor(storage);
    chmodSync(planted(storage, address), 0o777);
    await expect(client(storage, { start: null }).call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    expect(heard).toEqual([]);
  });

  it('a storage directory that others may write is closed to them before anything in it is believed', async () => {
    const storage = makeStorage();
    const { heard } = await impostor(storage);
    chownSync(join(storage, 'backend.json'), otherUser, otherUser);
    chmodSync(storage, 0o777);
    expect((await client(storage).call('health', {})).pid).not.toBe(noProcess);
    expect(heard).toEqual([]);
    expect(statSync(storage).mode & 0o077).toBe(0);
  });

  it('a long storage path starts although another user took the name of its socket directory', async () => {
    const storage = join(makeStorage(), 'x'.repeat(120));
    const base = mkdtempSync(join(tmpdir(), 'cwm-'));
    directories.push(base);
    const name = `cwm-0-${sha256Hex(storage).slice(0, 16)}`;
    const env = { XDG_RUNTIME_DIR: base, TMPDIR: base };
    mkdirSync(join(base, name));
    chownSync(join(base, name), otherUser, otherUser);
    const one = client(storage, { start: { ...realStart, env } });
    await one.call('health', {});
    const { address, pid } = readRecord(storage);
    expect(dirname(address).startsWith(join(base, `${name}-`))).toBe(true);
    await one.call('shutdown', {});
    await until('it has ended', () => !isRunning(pid));
    expect(existsSync(dirname(address))).toBe(false);
  });
});
