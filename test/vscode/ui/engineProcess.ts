import type { BackendClient } from '../../../src/client/backendClient.ts';
import { connectBackend } from '../../../src/client/connectBackend.ts';
import { HarnessError } from '../harness/harnessError.ts';

/** Process id of the embedded engine that the backend of this storage directory runs. */
export const enginePid = (
  storage: string,
  isMeant: (spec: string) => boolean = (spec) => spec === 'embedded',
): Promise<number> =>
  asking(storage, async (backend) => {
    const { engines } = await backend.call('health', {});
    const pid = engines.find(({ spec }) => isMeant(spec))?.pid;
    if (pid === null || pid === undefined) throw new HarnessError('The backend runs no embedded engine.');
    return pid;
  });

/** Engine of the session with this title that was changed last. */
export const engineOfSession = (storage: string, title: string): Promise<string | undefined> =>
  asking(storage, async (backend) => {
    const { items } = await backend.call('listSessions', { search: title });
    return items[0]?.engine;
  });

/** Calls the backend of this storage directory, as another client. */
export async function asking<T>(storage: string, ask: (backend: BackendClient) => Promise<T>): Promise<T> {
  const backend = await connectBackend({ storage, start: null });
  try {
    return await ask(backend);
  } finally {
    backend.dispose();
  }
}
