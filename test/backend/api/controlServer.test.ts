import { connect, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { expect, it, onTestFinished } from 'vitest';
import { listenOnFirst, type ControlServer } from '../../../src/backend/process/controlServer.ts';
import { challengePath } from '../../../src/protocol/backendRecord.ts';

const graceMs = 60_000;

async function serving(app: Hono): Promise<ControlServer> {
  const place = mkdtempSync(join(tmpdir(), 'cwm-'));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const address = process.platform === 'win32' ? `\\\\.\\pipe\\cwm-control-${process.pid}` : join(place, 's');
  return await listenOnFirst(app, [address]);
}

/** A connection, and the beginning of each answer on it. */
function connection(address: string) {
  const socket: Socket = connect(address);
  onTestFinished(() => void socket.destroy());
  const ended = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  const ask = async (path: string): Promise<string> => {
    const answer = new Promise<string>((resolve) => {
      socket.once('data', (bytes: Uint8Array) => resolve(Buffer.from(bytes).toString('latin1')));
    });
    socket.write(`GET ${path} HTTP/1.1\r\nhost: cwm\r\n\r\n`);
    return await answer;
  };
  return { socket, ended, ask };
}

it('a backend that ends cuts a connection that has served a request, and answers on one where it has just proved itself', async () => {
  const app = new Hono().get(challengePath, (c) => c.text('proof')).get('/api/more', (c) => c.text('more'));
  const server = await serving(app);
  const [proved, served] = [connection(server.address), connection(server.address)];
  expect(await proved.ask(`${challengePath}?nonce=1`)).toContain('200 OK');
  expect(await served.ask('/api/more')).toContain('200 OK');
  const closed = server.close(graceMs);
  await served.ended;
  expect(proved.socket.readyState).toBe('open');
  expect(await proved.ask('/api/more')).toContain('200 OK');
  await Promise.all([proved.ended, closed]);
});

it('a backend that ends while it answers ends the connection behind the answer', async () => {
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const app = new Hono()
    .get(challengePath, (c) => c.text('proof'))
    .get('/api/slow', async (c) => {
      asked.resolve();
      await answered.promise;
      return c.text('slow');
    });
  const server = await serving(app);
  const [proved, one] = [connection(server.address), connection(server.address)];
  await proved.ask(`${challengePath}?nonce=1`);
  const answer = one.ask('/api/slow');
  await asked.promise;
  const closed = server.close(graceMs);
  answered.resolve();
  expect(await answer).toContain('200 OK');
  await one.ended;
  expect(proved.socket.readyState, 'it did not end by itself').toBe('open');
  proved.socket.destroy();
  await closed;
});
