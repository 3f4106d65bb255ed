import { createServer, connect, type Socket } from 'node:net';
import { renameSync } from 'node:fs';
import { onTestFinished } from 'vitest';

export interface SocketProxy {
  /** Everything that crossed, in both directions, as text. */
  readonly crossed: () => string;
  /** Connections so far: one for each request, since clients reuse none. */
  readonly connections: () => number;
}

/**
 * Stands between clients and a backend's socket, and remembers what crosses. It ends with the test. It takes the address of the backend,
 * whose socket gets another name: a backend proves to its clients that it listens where they ask, and a proxy elsewhere would be refused.
 */
export async function socketProxy(address: string): Promise<SocketProxy> {
  const target = `${address}.b`;
  renameSync(address, target);
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
  });
  return { crossed: () => Buffer.concat(chunks).toString('utf8'), connections: () => connections };
}
