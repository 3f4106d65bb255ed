import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { apiHeader, challengePath } from '../../../src/protocol/backendRecord.ts';
import { readLastEnd } from '../../../src/client/backendRecord.ts';
import { requestBackend, type BackendRequest } from '../../../src/client/transport.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { backendsInProcess, type BackendUnderTest } from '../support/backendInProcess.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';
import { someSession, untilAborted } from '../support/fakeDomain.ts';
import { until } from '../../support/until.ts';

const makeDirectory = temporaryDirectories();
const start = backendsInProcess();

async function raw({ backend }: BackendUnderTest, request: BackendRequest): Promise<{ status: number; body: unknown }> {
  const answer = await requestBackend(backend.record, request, { timeoutMs: 10_000 });
  return { status: answer.status, body: JSON.parse(answer.body) };
}

describe('control API', () => {
  it('hands the path, the query and the body to the domain, with numbers and flags as such', async () => {
    const tested = await start();
    tested.fake.on('deleteSession', () => ({ deletedWindows: ['a'] }));
    tested.fake.on('createSession', () => someSession('s'));
    await tested.client.call('listSessions', { search: 'a b&c', limit: 7, offset: 3 });
    await tested.client.call('deleteSession', { session: 'with/slash and ü', cascade: true });
    await tested.client.call('createSession', { title: 'T', project: null });
    expect(tested.fake.calls.map(({ route, input }) => ({ route, input }))).toEqual([
      { route: 'listSessions', input: { search: 'a b&c', limit: 7, offset: 3 } },
      { route: 'deleteSession', input: { session: 'with/slash and ü', cascade: true } },
      { route: 'createSession', input: { title: 'T', project: null } },
    ]);
  });

  it('S0-70 names the field that is wrong, and does not ask the domain', async () => {
    const tested = await start();
    const answer = await raw(tested, { method: 'POST', path: '/api/contexts/s/freeze', body: '{"window":5}' });
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { code: 'CWM-1003', retryable: false, details: { parameter: 'window' } } },
    });
    expect(JSON.stringify(answer.body)).toContain('expected string');
    expect(await raw(tested, { method: 'GET', path: '/api/windows?limit=many' })).toMatchObject({
      status: 400,
      body: { error: { details: { parameter: 'limit' } } },
    });
    expect(tested.fake.calls).toEqual([]);
  });

  it('refuses a body that is no JSON object', async () => {
    const tested = await start();
    for (const body of ['{', '[]', '"text"', 'null']) {
      const answer = await raw(tested, { method: 'POST', path: '/api/contexts', body });
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'CWM-1003' } } });
    }
  });

  it('S0-15 is alive but not ready while its store cannot be read', async () => {
    const tested = await start();
    tested.fake.on('listSessions', () => {
      throw new CwmError('ReadFailed', 'The disk is gone.');
    });
    expect(await tested.client.call('live', {})).toEqual({ alive: true });
    expect(await raw(tested, { method: 'GET', path: '/api/health/ready' })).toMatchObject({
      status: 503,
      body: { error: { code: 'CWM-5010' } },
    });
  });

  it('S4-30 answers 201 to what creates, 204 with no body to what has nothing to say, and 405 to a method that a path has not', async () => {
    const tested = await start();
    tested.fake.on('createSession', () => someSession('s'));
    tested.fake.on('deleteSession', () => ({}));
    expect(await raw(tested, { method: 'POST', path: '/api/contexts', body: '{}' })).toMatchObject({ status: 201 });
    const deleted = await requestBackend(
      tested.backend.record,
      { method: 'DELETE', path: '/api/contexts/s' },
      { timeoutMs: 10_000 },
    );
    expect([deleted.status, deleted.body]).toEqual([204, '']);
    expect(await tested.client.call('deleteSession', { session: 's' })).toEqual({});
    expect(await raw(tested, { method: 'PUT', path: '/api/contexts' })).toMatchObject({
      status: 405,
      body: { error: { code: 'CWM-2013', details: { allow: ['POST', 'GET'] } } },
    });
  });

  it('says nothing with 204, and to programs of earlier releases with an empty object', async () => {
    const { backend, fake } = await start();
    fake.on('deletePrompt', () => ({}));
    const answered = async (api: string | null) => {
      const headers: Record<string, string> = api === null ? {} : { [apiHeader]: api };
      const request = { method: 'DELETE', path: '/api/prompts/p', headers } as const;
      const { status, body } = await requestBackend(backend.record, request, { timeoutMs: 10_000 });
      return [status, body];
    };
    expect(await answered(null)).toEqual([204, '']);
    expect(await answered('4')).toEqual([204, '']);
    expect(await answered('3')).toEqual([200, '{}']);
  });

  it('answers an unknown path with CWM-2008', async () => {
    const tested = await start();
    const answer = await raw(tested, { method: 'GET', path: '/api/nothing' });
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'CWM-2008' } } });
  });

  it('S0-70 passes the error of the domain on with its status', async () => {
    const tested = await start();
    tested.fake.on('freeze', () => {
      throw new CwmError('WindowExists', 'It is taken.', { context: { window: 'w' } });
    });
    const freeze = tested.client.call('freeze', { session: 's', window: 'w' });
    await expect(freeze).rejects.toMatchObject({ code: 'CWM-3003', message: 'It is taken.', context: { window: 'w' } });
  });

  it('S0-71 an unexpected error is in the log with everything, and the client learns nothing of it', async () => {
    const tested = await start();
    tested.fake.on('getSession', () => {
      throw new TypeError('secret detail');
    });
    const answer = await raw(tested, { method: 'GET', path: '/api/contexts/s' });
    expect(answer).toMatchObject({ status: 500, body: { error: { code: 'CWM-9001' } } });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(readFileSync(join(tested.storage, 'backend.log'), 'utf8')).toContain('secret detail');
  });

  it('refuses a body over 16 MiB before it has read it, and works on', async () => {
    const tested = await start();
    tested.fake.on('send', () => ({}));
    const body = JSON.stringify({ text: 'x'.repeat(17 * 1024 * 1024) });
    const sized = { method: 'POST', path: '/api/contexts/s/messages', body } as const;
    expect(await raw(tested, { ...sized, headers: { 'content-length': String(body.length) } })).toMatchObject({
      status: 413,
      body: { error: { code: 'CWM-7012' } },
    });
    expect(await raw(tested, { ...sized, headers: { 'transfer-encoding': 'chunked' } })).toMatchObject({ status: 413 });
    expect(tested.fake.calls).toEqual([]);
    await tested.client.call('health', {});
  });

  it('S0-62 runs ten operations at once and refuses the eleventh with CWM-7003; reads still run', async () => {
    const tested = await start();
    tested.fake.on('thaw', (_, signal) => untilAborted(signal));
    const leave = new AbortController();
    const running = Array.from({ length: 10 }, () =>
      tested.client.call('thaw', { window: 'w' }, { signal: leave.signal }),
    );
    const ended = Promise.allSettled(running);
    await until('ten operations run', () => tested.fake.calls.length === 10);
    await expect(tested.client.call('thaw', { window: 'w' })).rejects.toMatchObject({ code: 'CWM-7003' });
    await tested.client.call('listWindows', {});
    leave.abort();
    await ended;
    await until('the operations have ended', async () => {
      tested.fake.on('thaw', () => Promise.reject(new CwmError('WindowNotFound', 'none')));
      const error = await tested.client.call('thaw', { window: 'w' }).catch((thrown: CwmError) => thrown.code);
      return error === 'CWM-2002';
    });
  });

  it('S0-62 runs as many operations at once as --max-operations says', async () => {
    const tested = await start({ maxOperations: 1 });
    tested.fake.on('thaw', (_, signal) => untilAborted(signal));
    const leave = new AbortController();
    const running = tested.client.call('thaw', { window: 'w' }, { signal: leave.signal });
    await until('one operation runs', () => tested.fake.calls.length === 1);
    await expect(tested.client.call('thaw', { window: 'w' })).rejects.toMatchObject({
      code: 'CWM-7003',
      hint: expect.stringMatching(/cwm\.limits\.operations in VS Code.*--max-operations of "cwm serve"/) as unknown,
    });
    leave.abort();
    await expect(running).rejects.toMatchObject({ code: 'CWM-6003' });
  });

  it('aborts an operation when its client goes away', async () => {
    const tested = await start();
    tested.fake.on('prime', (_, signal) => untilAborted(signal));
    const leave = new AbortController();
    const call = tested.client.call('prime', { session: 's', paths: ['a'] }, { signal: leave.signal });
    await until('the operation runs', () => tested.fake.calls.length === 1);
    leave.abort();
    await expect(call).rejects.toMatchObject({ code: 'CWM-6003' });
    await until('the domain hears of it', () => tested.fake.calls[0]?.signal.aborted);
    expect(tested.fake.calls[0]?.signal.reason).toMatchObject({ code: 'CWM-6003' });
  });

  it('lets only this user reach its socket and its files', async () => {
    const { backend, storage } = await start();
    expect(statSync(dirname(backend.record.address)).mode & 0o777).toBe(0o700);
    expect(statSync(join(storage, 'backend.json')).mode & 0o777).toBe(0o600);
    expect(statSync(join(storage, 'backend.log')).mode & 0o777).toBe(0o600);
  });

  it('listens at a short path when that of the storage directory is too long for a socket', async () => {
    const { storage } = await start();
    const deep = join(storage, 'd'.repeat(100));
    const tested = await start({ storage: deep });
    expect(tested.backend.record.address.length).toBeLessThan(104);
    expect(statSync(dirname(tested.backend.record.address)).mode & 0o777).toBe(0o700);
    await tested.client.call('health', {});
  });

  it('stops when asked: its record goes, its services are closed, the directory is free', async () => {
    const tested = await start();
    await tested.client.call('shutdown', {});
    await tested.backend.stopped;
    expect(existsSync(join(tested.storage, 'backend.json'))).toBe(false);
    expect(tested.closed()).toBe(1);
    const again = await start({ storage: tested.storage });
    await again.client.call('health', {});
  });

  it('S0-16 says after its end what could not be saved in time, until the next one starts', async () => {
    const lost = { limitMs: 4000, unsaved: [{ session: 's', tokens: 7, computeMs: 1200 }] };
    const tested = await start({ lost });
    const { record } = tested.backend;
    await tested.client.call('shutdown', {});
    await tested.backend.stopped;
    expect(await readLastEnd(tested.storage, record)).toEqual({ pid: process.pid, ...lost });
    expect(await readLastEnd(tested.storage, { ...record, pid: record.pid + 1 })).toBeNull();
    const again = await start({ storage: tested.storage });
    expect(await readLastEnd(tested.storage, record)).toBeNull();
    await again.client.call('shutdown', {});
    await again.backend.stopped;
    expect(await readLastEnd(tested.storage, record)).toBeNull();
  });

  it('S0-16 starts and ends although what the last end came to can be neither deleted nor written', async () => {
    const storage = makeDirectory();
    mkdirSync(join(storage, 'last-end.json'));
    const tested = await start({ storage, lost: { limitMs: 4000, unsaved: [{ session: 's', tokens: 7 }] } });
    await tested.client.call('shutdown', {});
    await tested.backend.stopped;
    expect(tested.closed()).toBe(1);
    expect(await readLastEnd(storage, tested.backend.record)).toBeNull();
  });

  it('S0-04 aborts what is in work when it stops, and waits for it before it closes the store', async () => {
    const tested = await start();
    const order: string[] = [];
    tested.fake.on('freeze', async (_, signal) => {
      await untilAborted(signal).catch(() => undefined);
      await Promise.resolve();
      order.push(`rolled back, ${tested.closed()} closed`);
      throw new CwmError('Cancelled', 'Cancelled.');
    });
    const freeze = tested.client.call('freeze', { session: 's', window: 'w' });
    await until('the freeze runs', () => tested.fake.calls.length === 1);
    await Promise.all([tested.backend.stop('test'), expect(freeze).rejects.toThrow(CwmError)]);
    expect(order).toEqual(['rolled back, 0 closed']);
    expect(tested.closed()).toBe(1);
  });

  it('answers the request of a client to which it has just proved itself, although it stops', async () => {
    const { backend } = await start({ graceMs: 60_000 });
    const socket = connect(backend.record.address);
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString()));
    const ended = new Promise<string>((resolve, reject) => {
      socket.on('close', () => resolve(heard));
      socket.on('error', reject);
    });
    socket.write(`GET ${challengePath}?nonce=${'0'.repeat(64)} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await until('the proof is there', () => heard.includes('"proof"'));
    const stopped = backend.stop('it was asked to');
    await until('it listens no more', () => !existsSync(backend.record.address));
    const authorization = `authorization: Bearer ${backend.record.token}`;
    socket.write(`GET /api/health HTTP/1.1\r\nhost: x\r\n${authorization}\r\nconnection: close\r\n\r\n`);
    expect(await ended).toContain('"status":"healthy"');
    await stopped;
  });

  it('waits when it stops also for an operation whose client has left', async () => {
    const tested = await start();
    const rollback = Promise.withResolvers<void>();
    const order: string[] = [];
    tested.fake.on('freeze', async (_, signal) => {
      await untilAborted(signal).catch(() => undefined);
      await rollback.promise;
      order.push(`rolled back, ${tested.closed()} closed`);
      throw new CwmError('Cancelled', 'Cancelled.');
    });
    const leave = new AbortController();
    const freeze = tested.client.call('freeze', { session: 's', window: 'w' }, { signal: leave.signal });
    await until('the freeze runs', () => tested.fake.calls.length === 1);
    leave.abort();
    await expect(freeze).rejects.toMatchObject({ code: 'CWM-6003' });
    const stopped = tested.backend.stop('test');
    await until('the server is closed', async () => {
      return await tested.client.call('health', {}).then(
        () => false,
        (error: CwmError) => error.code === 'CWM-5010',
      );
    });
    rollback.resolve();
    await stopped;
    expect(order).toEqual(['rolled back, 0 closed']);
  });
});
