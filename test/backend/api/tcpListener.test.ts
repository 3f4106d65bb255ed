import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { TcpListener } from '../../../src/backend/api/tcpListener.ts';
import type { serveHttp, HttpWish } from '../../../src/backend/api/serveHttp.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

type Parts = Parameters<typeof serveHttp>[1];

const makeDirectory = temporaryDirectories();
const parts = { idle: { enter: () => ({ dispose: () => undefined }) }, onRefused: () => undefined } as unknown as Parts;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const close of closing.splice(0)) await close();
});

const listen = async (): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
};
const end = (server: Server): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));

/** A listener whose gateway's clients look for it at `clientsAddress`. */
function listenerOf(clientsAddress: string | null, http?: Partial<HttpWish>, gatewayPort = 0) {
  const storage = makeDirectory();
  const told: string[] = [];
  const listener = new TcpListener(
    {
      storage,
      gatewayPort,
      ...(http && { http: { address: '0', remote: false, tokenFile: path.join(storage, 'own-token'), ...http } }),
    },
    {
      clientsAddress,
      listensAt: (url) => void told.push(url),
      toolsOf: () => 'all',
      onClientEnded: () => ({ dispose: () => undefined }),
      clientOf: () => null,
      handle: async (_req, res) => void res.end(),
    },
  );
  closing.push(() => listener.close((each) => each.close(0)));
  const taken: unknown[] = [];
  return { listener, told, taken, start: () => listener.start(parts, (error) => taken.push(error)) };
}

const answers = async (url: string | undefined): Promise<boolean> => (await fetch(`${url}/`)).status === 200;

test('the address that the user names is one more: the clients of the gateway find it where they look', async () => {
  const { listener, told, start } = listenerOf('127.0.0.1:0', { address: '0' });
  await start();
  const [clients = ''] = told;
  expect(listener.url).not.toBe(clients);
  expect(await answers(clients)).toBe(true);
  expect(await answers(listener.url ?? '')).toBe(true);
});

test('without clients, the address that the user names is theirs, on loopback only', async () => {
  const own = listenerOf(null, { address: '0' });
  await own.start();
  expect(own.told).toEqual([own.listener.url]);
  expect(await own.listener.open()).toBe(own.listener.url);
  const open = listenerOf(null, { address: '0.0.0.0:0', remote: true });
  await open.start();
  expect(open.told).toEqual([`http://127.0.0.1:${new URL(open.listener.url ?? '').port}`]);
});

test('a port that the user set wins over the one that the clients were told', async () => {
  const { server, port } = await listen();
  await end(server);
  const { listener, told, start } = listenerOf('127.0.0.1:0', undefined, port);
  await start();
  expect(told).toEqual([`http://127.0.0.1:${port}`]);
  expect(await answers(listener.url ?? '')).toBe(true);
});

test('a port that the user set is the clients’ also beside an address of the backend, and one that is taken is named so', async () => {
  const { server, port } = await listen();
  const { listener, told, taken } = listenerOf('127.0.0.1:0', { address: '0' }, port);
  await listener.start(parts, (error) => taken.push(error));
  expect(taken).toEqual([expect.objectContaining({ hint: expect.stringContaining('set another one') as unknown })]);
  await end(server);
  const free = listenerOf(null, { address: '0' }, port);
  await free.start();
  expect([told, free.told]).toEqual([[], [`http://127.0.0.1:${port}`]]);
});

test('an address of the clients beyond loopback, which an earlier version stored, is opened on loopback', async () => {
  const { told, taken, start } = listenerOf('0.0.0.0:0');
  await start();
  expect(taken).toEqual([]);
  expect(told[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test('the port of the clients is tried again while another program has it', async () => {
  const { server, port } = await listen();
  const { listener, told, taken, start } = listenerOf(`127.0.0.1:${port}`);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  await start();
  expect(taken).toEqual([expect.objectContaining({ hint: expect.stringContaining('tries again') as unknown })]);
  vi.advanceTimersByTime(30_000);
  await end(server);
  // The next try, which the one that failed makes.
  while (told.length === 0) {
    await new Promise((resolve) => void setImmediate(resolve));
    vi.advanceTimersByTime(30_000);
  }
  expect(told[0]).toBe(`http://127.0.0.1:${port}`);
  expect(await answers(listener.url ?? '')).toBe(true);
});
