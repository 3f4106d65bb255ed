import type { ModelServer } from './guardedServer.ts';

/** A model server that is started again at its address whenever it ends, until it is disposed of. */
export interface LastingServer extends AsyncDisposable {
  now(): ModelServer;
  /** Aborted, with the reason of that, once it could not be started again. */
  readonly lost: AbortSignal;
}

/**
 * @param start over the same files each time, at a free port where it is given none.
 * @throws what the first start throws.
 */
export async function lastingServer(start: (port?: number) => Promise<ModelServer>): Promise<LastingServer> {
  const over = new AbortController();
  const lost = new AbortController();
  let server = await start();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await server.ended;
      if (!over.signal.aborted) server = await start(Number(new URL(server.url).port));
    }
  };
  const watching = watch().catch((error: unknown) => lost.abort(error));
  return {
    now: () => server,
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      over.abort();
      await server.stop();
      await watching;
      // It was being started again.
      await server.stop();
    },
  };
}
