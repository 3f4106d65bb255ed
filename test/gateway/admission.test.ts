import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Hono } from 'hono';
import { socketDoor } from '../../src/backend/api/gatewayAdmission.ts';
import { serveHttp } from '../../src/backend/api/serveHttp.ts';
import { listenOnFirst } from '../../src/backend/process/controlServer.ts';
import { currentClient, currentSource, engineKeyFor, withRequest } from '../../src/backend/requestScope.ts';
import { socketAddresses } from '../../src/backend/process/socketAddress.ts';
import { Clients } from '../../src/gateway/clients/clients.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
const now = '2026-11-29T12:00:00.000Z';
type Parts = Parameters<typeof serveHttp>[1];
type Handle = Parameters<typeof socketDoor>[0]['handle'];

const parts = { idle: { enter: () => ({ dispose: () => undefined }) }, onRefused: () => undefined } as unknown as Parts;
/** What of a backend stands before the gateway, with a gateway that says whose token a request has. */
async function admission() {
  const folder = makeDirectory();
  const load = async (): Promise<Clients> => {
    const clients = new Clients(path.join(folder, 'clients.json'), (error) => expect.fail(String(error)));
    await clients.load();
    return clients;
  };
  let clients = await load();
  const tokenFile = path.join(folder, 'token');
  const listener = await serveHttp({ address: '127.0.0.1:0', remote: false, tokenFile }, parts, {
    clientsAddress: null,
    listensAt: () => undefined,
    toolsOf: () => 'all',
    onClientEnded: () => ({ dispose: () => undefined }),
    clientOf: (token) => clients.of(token)?.name ?? null,
    handle: async (_, res, address, client) => void res.end(`${client ?? 'file'} ${address.path}`),
  });
  onTestFinished(() => listener.close(0));
  return {
    ...listener,
    fileToken: readFileSync(tokenFile, 'utf8').trim(),
    put: async (name: string) => (await clients.put(name, {}, now)).token ?? '',
    revoke: (name: string) => clients.delete(name),
    restart: async () => void (clients = await load()),
    ask: async (headers: Record<string, string>, before = '') => {
      const answer = await fetch(`${listener.url}${before}/v1/models`, { headers });
      return answer.status === 200 ? answer.text() : answer.status;
    },
  };
}

test('on the socket of the control API, its token lets in, and everything that is not the gateway is left to the API', async () => {
  const app = new Hono().all('*', (c) => c.text('the API'));
  const gateway = {
    handle: async (...[, res, { path: of, project, engine = '' }]: Parameters<Handle>) => {
      const server = 'http://model.test';
      res.end(`${project} ${of}${engine}${engineKeyFor(server, { now: 'http://other.test', own: '' }) ?? ''}`);
    },
  };
  const server = await listenOnFirst(app, socketAddresses(makeDirectory()), socketDoor(gateway, parts, 'right'));
  onTestFinished(() => server.close(0));
  const ask = (asked: string, authorization = '', more: Record<string, string> = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization, ...more };
      const sent = request({ socketPath: server.address, path: asked, headers }, async (answer) => {
        const text = (await answer.toArray()).join('');
        resolve(answer.statusCode === 200 ? text : String(answer.statusCode));
      });
      sent.on('error', reject).end();
    });
  expect(await ask('/p/demo/v1/models?a=1', 'Bearer right')).toBe('demo /v1/models?a=1');
  const key = { 'x-cwm-engine-key': 'KEY', 'x-cwm-engine-key-for': 'http://model.test' };
  expect(await ask('/v1/models', 'Bearer right', key)).toBe('null /v1/modelsKEY');
  expect(await ask('/v1/models', 'Bearer right', { ...key, 'x-cwm-engine-key-for': 'http://third.test' })).toBe(
    'null /v1/models',
  );
  const named = { 'x-cwm-engine': encodeURIComponent('embedded:/m/ö.gguf') };
  expect(await ask('/v1/models', 'Bearer right', named)).toBe('null /v1/modelsembedded:/m/ö.gguf');
  expect(await ask('/v1/chat/completions', 'Bearer wrong')).toBe('403');
  expect(await ask('/t/right/v1/models')).toBe('403');
  expect(await ask('/')).toBe('the API');
  expect(await ask('/api/sessions')).toBe('the API');
});

test('a listener that a request opened knows nothing of that request, and tokens count for the gateway', async () => {
  const tokenFile = path.join(makeDirectory(), 'token');
  const gateway = {
    clientsAddress: null,
    listensAt: () => undefined,
    toolsOf: () => 'all' as const,
    onClientEnded: () => ({ dispose: () => undefined }),
    clientOf: () => null,
    handle: async (...[, res]: Parameters<Handle>) => {
      const server = 'http://model.test';
      const key = engineKeyFor(server, { now: server, own: '' }) ?? 'no key';
      res.end(`${currentClient()}, ${currentSource()}, ${key}`);
    },
  };
  const scope = { client: 'cli.1', engineKey: 'KEY' };
  const where = { address: '127.0.0.1:0', remote: false, tokenFile };
  const listener = await withRequest(scope, () => serveHttp(where, parts, gateway));
  onTestFinished(() => listener.close(0));
  const headers = { 'x-cwm-token': readFileSync(tokenFile, 'utf8').trim() };
  const answer = await fetch(`${listener.url}/v1/models`, { headers });
  expect(await answer.text()).toBe('backend, gateway, no key');
});

describe('who may use the gateway', () => {
  test('a token works in each place where a client can put it', async () => {
    const { ask, put, fileToken } = await admission();
    const token = await put('work');
    for (const [name, value] of [
      ['authorization', `Bearer ${token}`],
      ['x-api-key', token],
      ['api-key', token],
      ['x-cwm-token', token],
    ] as const) {
      expect(await ask({ [name]: value }), name).toBe('work /v1/models');
    }
    expect(await ask({}, `/t/${token}`)).toBe('work /v1/models');
    // Some clients always send a key of their own.
    expect(await ask({ authorization: 'Bearer none', 'x-cwm-token': token })).toBe('work /v1/models');
    expect(await ask({ 'x-api-key': fileToken })).toBe('file /v1/models');
  });

  test('without a token that works, nothing is answered', async () => {
    const { ask } = await admission();
    for (const headers of [{}, { authorization: 'Bearer ' }, { 'x-api-key': 'x' }, { authorization: 'Basic Og==' }]) {
      expect(await ask(headers as Record<string, string>)).toBe(401);
    }
    expect(await ask({}, '/t/x')).toBe(401);
  });

  test('a token outlives the process, and ends when it is rotated or revoked', async () => {
    const { ask, put, revoke, restart } = await admission();
    const first = await put('work');
    await restart();
    expect(await ask({ 'x-api-key': first })).toBe('work /v1/models');
    const second = await put('work');
    expect(await ask({ 'x-api-key': first })).toBe(401);
    expect(await ask({ 'x-api-key': second })).toBe('work /v1/models');
    await restart();
    expect(await ask({ 'x-api-key': first })).toBe(401);
    await revoke('work');
    expect(await ask({ 'x-api-key': second })).toBe(401);
    await restart();
    expect(await ask({ 'x-api-key': second })).toBe(401);
  });

  test('a refused request whose body does not come loses its connection', { timeout: 15_000 }, async () => {
    const { address } = await admission();
    const received = await new Promise<string>((resolve, reject) => {
      let text = '';
      const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${address.port}\r\ncontent-length: 1000\r\n\r\n{`;
      const socket = connect(address.port, '127.0.0.1', () => socket.write(head));
      socket.on('data', (data) => (text += data.toString()));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
    expect(received).toMatch(/^HTTP\/1\.1 401 /);
  });

  test('a refused request whose body comes leaves the connection open for the next', async () => {
    const { address } = await admission();
    const host = `HTTP/1.1\r\nhost: 127.0.0.1:${address.port}`;
    const received = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(address.port, '127.0.0.1', () =>
        socket.write(
          `POST /v1/chat/completions ${host}\r\ncontent-length: 2\r\n\r\n{}GET /v1/models ${host}\r\nconnection: close\r\n\r\n`,
        ),
      );
      socket.on('data', (data) => (text += data.toString()));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
    expect(received.match(/HTTP\/1\.1 401 /g)).toHaveLength(2);
  });
});
