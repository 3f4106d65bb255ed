import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Signal } from '../../src/protocol/signals.ts';
import { alreadyRunningExitCode } from '../../src/protocol/backendRecord.ts';
import { apiVersions, productVersion } from '../../src/protocol/version.ts';
import { until } from '../support/until.ts';
import { backendEntry, killHard, readRecord, realBackends, realStart } from './support/realBackends.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const servers: Server[] = [];
/** Beyond the largest id that Linux gives. */
const noProcess = 2 ** 22 + 1;

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A model server that takes connections and never answers. */
async function silentEngine(): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  const server = createServer(() => connections++).unref();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

describe('backend client', () => {
  it('starts exactly one backend, however many clients come at once', async () => {
    const storage = makeStorage();
    const clients = Array.from({ length: 20 }, () => client(storage));
    const healths = await Promise.all(clients.map((one) => one.call('health', {})));
    expect(new Set(healths.map(({ pid }) => pid)).size).toBe(1);
    const running = (): string[] =>
      execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes(backendEntry) && line.includes(storage));
    await until('the others have ended', () => running().length === 1);
  });

  it('S0-04 continues with another backend after a kill -9, and no acknowledged change is lost', async () => {
    const storage = makeStorage();
    const one = client(storage);
    const session = await one.call('createSession', { title: 'kept' });
    const before = readRecord(storage).pid;
    await killHard(before);
    expect(await one.call('getSession', { session: session.id })).toEqual(session);
    expect(readRecord(storage).pid).not.toBe(before);
    await killHard(readRecord(storage).pid);
    await one.call('createSession', { title: 'made by the third backend' });
    expect((await one.call('listSessions', {})).total).toBe(2);
  });

  it('makes no change twice: it says so when the backend dies while it works on one', async () => {
    const storage = makeStorage();
    const one = client(storage);
    const { url, connections } = await silentEngine();
    const { id } = await one.call('createSession', { engine: url });
    const sending = one.call('send', { session: id, text: 'hello' });
    const failed = expect(sending).rejects.toMatchObject({ code: 'CWM-5010', context: { unknown: true } });
    await until('the engine was asked', () => connections() > 0);
    await killHard(readRecord(storage).pid);
    await failed;
    expect(await one.call('getSession', { session: id })).toMatchObject({ phase: 'Idle', tokens: null });
  });

  it('aborts at once, and the backend with it', async () => {
    const one = client(makeStorage());
    const { url, connections } = await silentEngine();
    const { id } = await one.call('createSession', { engine: url });
    const leave = new AbortController();
    const sending = one.call('send', { session: id, text: 'hello' }, { signal: leave.signal });
    await until('the engine was asked', () => connections() > 0);
    leave.abort();
    await expect(sending).rejects.toMatchObject({ code: 'CWM-6003' });
    await until('the session is idle again', async () => {
      return (await one.call('getSession', { session: id })).phase === 'Idle';
    });
  });

  it('ignores the record of a backend that is gone, and a file that is no record', async () => {
    const storage = makeStorage();
    const gone = { pid: noProcess, version: productVersion, address: join(storage, 'gone.sock'), startedAt: '' };
    writeFileSync(join(storage, 'backend.json'), JSON.stringify(gone));
    expect((await client(storage).call('health', {})).pid).not.toBe(gone.pid);
    const other = makeStorage();
    writeFileSync(join(other, 'backend.json'), '{"pid":');
    await client(other).call('health', {});
  });

  it('does not take another process at the same place for the one of the record', async () => {
    const storage = makeStorage();
    await client(storage).call('health', {});
    const record = readRecord(storage);
    writeFileSync(join(storage, 'backend.json'), JSON.stringify({ ...record, pid: noProcess }));
    await expect(client(storage, { start: null }).call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    writeFileSync(join(storage, 'backend.json'), JSON.stringify(record));
  });

  it('says why a backend could not start, with the end of its log', async () => {
    const storage = makeStorage();
    writeFileSync(join(storage, 'fails.mjs'), 'console.error("the disk is on fire"); process.exit(3);');
    const one = client(storage, { start: { ...realStart, entry: join(storage, 'fails.mjs') } });
    const error = await one.call('health', {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CWM-5010', message: expect.stringContaining('the disk is on fire') });
    expect(error).toMatchObject({ hint: expect.stringContaining(join(storage, 'backend.log')) });
  });

  it('says so when there is no Node.js to start it with, or no storage directory to be had', async () => {
    const missing = client(makeStorage(), { start: { ...realStart, nodePath: '/nowhere/node' } });
    await expect(missing.call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    const file = join(makeStorage(), 'file');
    writeFileSync(file, '');
    await expect(client(join(file, 'below')).call('health', {})).rejects.toMatchObject({ code: 'CWM-4001' });
    // Node's own recursive mkdir never comes back from there.
    if (process.platform === 'linux')
      await expect(client('/proc/no/such').call('health', {})).rejects.toMatchObject({ code: 'CWM-4001' });
  });

  it('gives up on a backend that never answers', async () => {
    const storage = makeStorage();
    writeFileSync(join(storage, 'hangs.mjs'), 'setTimeout(() => undefined, 5000);');
    const start = { ...realStart, entry: join(storage, 'hangs.mjs') };
    const one = client(storage, { start, deadlineMs: 300 });
    await expect(one.call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
  });

  it('says so when another backend has the storage directory and is not up yet', async () => {
    const storage = makeStorage();
    writeFileSync(join(storage, 'yields.mjs'), `process.exit(${alreadyRunningExitCode});`);
    const one = client(storage, { start: { ...realStart, entry: join(storage, 'yields.mjs') }, deadlineMs: 1500 });
    await expect(one.call('health', {})).rejects.toMatchObject({
      code: 'CWM-5010',
      message: expect.stringMatching(/^Another backend has the storage directory/),
      hint: expect.stringContaining('encrypting'),
    });
  });

  it('a backend that could not start and said why is believed: its code, its words, its advice', async () => {
    const storage = makeStorage();
    await client(storage).call('health', {});
    await killHard(readRecord(storage).pid);
    writeFileSync(join(storage, 'encryption.json'), 'no record');
    await expect(client(storage).call('health', {})).rejects.toMatchObject({
      code: 'CWM-8003',
      message: 'encryption.json of the store is damaged.',
      hint: 'Restore it from a backup of the storage directory.',
    });
  });

  it('starts nothing when it may not', async () => {
    const one = client(makeStorage(), { start: null });
    await expect(one.call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
  });

  it('takes no answer that is not an object of JSON', async () => {
    const storage = makeStorage();
    const address = join(storage, 'odd.sock');
    let answer = `{"pid":${noProcess}}`;
    const odd = createHttpServer((_, response) => response.end(answer));
    servers.push(odd);
    await new Promise<void>((resolve) => odd.listen(address, resolve));
    const record = { pid: noProcess, version: productVersion, api: apiVersions, address, startedAt: '' };
    writeFileSync(join(storage, 'backend.json'), JSON.stringify(record));
    const one = client(storage, { start: null });
    await expect(one.call('health', {})).resolves.toEqual({ pid: noProcess });
    for (const other of ['<html>', '[]', '7', 'null', '']) {
      answer = other;
      await expect(one.call('health', {})).rejects.toMatchObject({ code: 'CWM-9001' });
    }
  });

  it('S4-40 gets signals again after the backend was killed, starting with a resync', async () => {
    const storage = makeStorage();
    const one = client(storage);
    const heard: Signal['change'][] = [];
    let closed = 0;
    one.onClosed(() => closed++);
    one.onSignal(({ change }) => heard.push(change));
    const sessionsHeard = (): number => heard.filter(({ type }) => type === 'session').length;
    await until('the first change', async () => {
      await one.call('createSession', {});
      return sessionsHeard() > 0;
    });
    await killHard(readRecord(storage).pid);
    await until('the loss is noticed', () => closed === 1);
    heard.length = 0;
    await one.call('listSessions', {});
    await until('the resync', () => heard.some(({ type }) => type === 'resync'));
    await one.call('createSession', {});
    await until('the next change', () => sessionsHeard() > 0);
  });

  it('does not bring back a backend that was stopped, only to hear its signals', async () => {
    const storage = makeStorage();
    const one = client(storage);
    const closed = Promise.withResolvers<void>();
    one.onClosed(closed.resolve);
    let heard = 0;
    one.onSignal(() => heard++);
    await until('the stream is open', async () => {
      await one.call('createSession', {});
      return heard > 0;
    });
    const { pid } = readRecord(storage);
    await one.call('shutdown', {});
    await closed.promise;
    await until('it has ended', () => !isRunning(pid));
    expect(() => readRecord(storage)).toThrow('ENOENT');
  });
});
