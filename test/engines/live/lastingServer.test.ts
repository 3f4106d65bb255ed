import { expect, it } from 'vitest';

import type { ModelServer } from './guardedServer.ts';
import { lastingServer } from './lastingServer.ts';

/** Servers that end when they are told to; which ports they were started at. */
function servers({ starts }: { readonly starts: number }) {
  const ports: (number | undefined)[] = [];
  const start = async (port?: number): Promise<ModelServer> => {
    ports.push(port);
    if (ports.length > starts) throw new Error('the port is taken');
    const { promise: ended, resolve } = Promise.withResolvers<string>();
    const end = async (): Promise<void> => resolve('ended');
    const url = `http://127.0.0.1:${port ?? 4000}`;
    return { url, pid: ports.length, logFile: '', ended, stop: end, kill: end, [Symbol.asyncDispose]: end };
  };
  return { start, ports };
}

it('is started again at its address, however often it ends, and not once it is disposed of', async () => {
  const { start, ports } = servers({ starts: 9 });
  const server = await lastingServer(start);
  for (const pid of [1, 2]) {
    await server.now().kill();
    await expect.poll(() => server.now().pid).toBe(pid + 1);
  }
  await server[Symbol.asyncDispose]();
  expect(ports).toEqual([undefined, 4000, 4000]);
  expect(server.lost.aborted).toBe(false);
});

it('says why it could not be started again, and can be disposed of then', async () => {
  const { start, ports } = servers({ starts: 1 });
  const server = await lastingServer(start);
  await server.now().kill();
  await expect.poll(() => server.lost.aborted).toBe(true);
  expect(server.lost.reason).toMatchObject({ message: 'the port is taken' });
  await server[Symbol.asyncDispose]();
  expect(ports).toEqual([undefined, 4000]);
});
