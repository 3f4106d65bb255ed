import { rmdirSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { challengePath } from '../../protocol/backendRecord.ts';
import { CwmError } from '../../protocol/errors.ts';

export interface ControlServer {
  readonly address: string;
  /** Takes no more connections, gives the open ones `graceMs` to end, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/**
 * Serves the app on the first of these addresses that the system accepts. Only the holder of the backend's lock may call it, because it
 * removes what an earlier backend left at an address.
 *
 * @param before answers a request before the app sees it, and returns false for one that is not for it. Default: none is.
 * @throws CwmError BackendUnavailable when none works.
 */
export async function listenOnFirst(
  app: Hono,
  addresses: Iterable<string>,
  before: (req: IncomingMessage, res: ServerResponse) => boolean = () => false,
): Promise<ControlServer> {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const refusals: unknown[] = [];
  for (const address of addresses) {
    const resting = new Set<Socket>();
    const server = createServer((req, res) => {
      const { socket } = req;
      resting.delete(socket);
      res.once('close', () => {
        if (isChallenge(req) || socket.destroyed) return;
        if (server.listening) resting.add(socket);
        else socket.destroySoon();
      });
      if (!before(req, res)) void listener(req, res);
    });
    server.on('connection', (socket) => socket.once('close', () => resting.delete(socket)));
    // The end of the server cuts no connection on which the backend has just proved itself: the client sends its request now, and could not
    // know whether that had arrived. Such a connection ends by itself after 5 s. One that has served a request ends at once: if it gets
    // another one, that reads only, and the client sends it again.
    server.closeIdleConnections = () => {
      for (const socket of resting) socket.destroy();
    };
    try {
      await listen(server, address);
      return { address, close: (graceMs) => close(server, address, graceMs) };
    } catch (error) {
      refusals.push(error);
    }
  }
  throw new CwmError('BackendUnavailable', 'The backend found no place for its socket.', {
    hint: 'Set XDG_RUNTIME_DIR to a directory of your own with a short path.',
    cause: new AggregateError(refusals, refusals.map(String).join('; ')),
  });
}

const isChallenge = ({ url }: IncomingMessage): boolean => url?.split('?', 1)[0] === challengePath;

function listen(server: Server, address: string): Promise<void> {
  if (process.platform !== 'win32') removeStaleSocket(address);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function removeStaleSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function close(server: Server, address: string, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
  if (process.platform !== 'win32') removeIfEmpty(dirname(address));
}

/** Removes the socket's directory, so that none stays in a shared place. A failure does no harm. */
function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Something else still uses it.
  }
}
