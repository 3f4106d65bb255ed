import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server that takes every request and answers none. */
export function silentServer(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer(() => undefined);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const close = (): void => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://127.0.0.1:${port}`, close });
    });
  });
}
