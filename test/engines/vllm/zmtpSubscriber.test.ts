import type fs from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { EventSink } from '../../../src/engines/vllm/events/eventSource.ts';
import { readyCommand, zmtpFrame, zmtpGreeting } from '../../../src/engines/vllm/events/zmtpFrames.ts';
import { ZmtpSubscriber } from '../../../src/engines/vllm/events/zmtpSubscriber.ts';

/** Who owns every socket file; null for who really does. */
const { owner } = vi.hoisted(() => {
  const uid: { of: number | null } = { of: null };
  return { owner: uid };
});
vi.mock('node:fs/promises', async (original) => {
  const own = await original<typeof fs>();
  const lstat = async (path: string): Promise<object> =>
    owner.of === null ? own.lstat(path) : { uid: owner.of, mode: 0o777 };
  return { ...own, lstat };
});
afterEach(() => {
  owner.of = null;
  vi.useRealTimers();
});

const handshake = Buffer.concat([zmtpGreeting(), readyCommand('PUB')]);
const heardNothing: EventSink = { connected: () => undefined, message: () => undefined };

/** A server on a Unix socket, or on loopback TCP, that does this with each connection. */
async function serverOf(met: (socket: Socket, count: number) => void, kind: 'ipc' | 'tcp' = 'ipc') {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-zmtp-'));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    met(socket, sockets.size);
  });
  const path = join(folder, 's');
  await new Promise<void>((resolve) =>
    kind === 'ipc' ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve),
  );
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return kind === 'ipc' ? `ipc://${path}` : `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function subscribe(endpoint: string, sink: EventSink = heardNothing): ZmtpSubscriber {
  const subscriber = new ZmtpSubscriber(endpoint);
  onTestFinished(() => subscriber.close());
  subscriber.start(sink);
  return subscriber;
}

describe('a subscription to events', () => {
  test('works over loopback TCP, too', async () => {
    const batch = [Buffer.alloc(0), Buffer.from('batch')];
    const endpoint = await serverOf((socket) => {
      socket.write(handshake);
      socket.write(Buffer.concat(batch.map((part, index) => zmtpFrame(part, false, index === 0))));
    }, 'tcp');
    const got = await new Promise<readonly Uint8Array[]>((message) =>
      subscribe(endpoint, { connected: () => undefined, message }),
    );
    expect(got).toEqual(batch);
  });

  test('is made again when the publisher ends the connection, and the sink learns that it may have missed something', async () => {
    let connections = 0;
    const twice = Promise.withResolvers<void>();
    const endpoint = await serverOf((socket, count) => {
      socket.write(handshake);
      // The subscription itself comes behind the greeting and the command.
      if (count === 1) socket.on('data', (chunk) => chunk.at(-1) === 1 && socket.destroy());
    });
    subscribe(endpoint, {
      message: () => undefined,
      connected: () => {
        connections++;
        if (connections === 2) twice.resolve();
      },
    });
    await twice.promise;
    expect(connections).toBe(2);
  });

  test('is tried again at once by who asks for it', async () => {
    let isUp = false;
    const endpoint = await serverOf((socket) => {
      if (isUp) socket.write(handshake);
      else socket.destroy();
    });
    const subscriber = subscribe(endpoint);
    expect(await subscriber.ready()).not.toBeNull();
    isUp = true;
    expect(await subscriber.ready()).toBeNull();
    expect(await subscriber.ready()).toBeNull();
  });

  test('says that the other side speaks another protocol', async () => {
    const endpoint = await serverOf((socket) => socket.write(`HTTP/1.1 400 Bad Request\r\n\r\n${' '.repeat(64)}`));
    expect(await subscribe(endpoint).ready()).toBe('it speaks no ZeroMQ');
  });

  test('is waited for two seconds at most', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const endpoint = await serverOf(() => undefined);
    const ready = subscribe(endpoint).ready();
    await vi.advanceTimersByTimeAsync(2000);
    expect(await ready).toBe('it has not answered yet');
  });

  test('that is closed leaves nobody waiting', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const subscriber = subscribe(await serverOf(() => undefined));
    const ready = subscriber.ready();
    subscriber.close();
    expect(await ready).not.toBeNull();
  });

  test.skipIf(process.getuid === undefined)(
    'is not made over a socket of another user, who could invent events',
    async () => {
      let connections = 0;
      const endpoint = await serverOf(() => connections++);
      owner.of = (process.getuid?.() ?? 0) + 1;
      expect(await subscribe(endpoint).ready()).toBe(`the socket belongs to another user (number ${owner.of})`);
      expect(connections).toBe(0);
    },
  );
});
