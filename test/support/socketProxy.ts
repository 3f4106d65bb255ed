import { createServer, connect, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export interface SocketProxy {
  readonly address: string;
  /** Everything that crossed, in both directions, as text. */
  readonly crossed: () => string;
  /** Connections so far: one for each request, since clients keep none. */
  readonly connections: () => number;
}

/** Stands between clients and a backend's socket, and remembers what crosses. It ends with the test. */
export async function socketProxy(target: string): Promise<SocketProxy> {
  const directory = mkdtempSync(path.join(tmpdir(), 'cwm-proxy-'));
  const address = process.platform === 'win32' ? `\\\\.\\pipe\\${path.basename(directory)}` : path.join(directory, 's');
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    connections++;
    const backend = connect(target);
    for (const [from, to] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(address, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { address, crossed: () => Buffer.concat(chunks).toString('utf8'), connections: () => connections };
}
