import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackendClient } from '../src/client/backendClient.ts';
import { backendClient } from '../src/client/connectBackend.ts';

/** A backend of the checkout on a storage directory of its own; both are gone afterwards. */
export async function withPassingBackend<T>(task: (client: BackendClient) => Promise<T>): Promise<T> {
  const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
  try {
    return await withBackendOn(storage, task);
  } finally {
    await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** A backend of the checkout on this storage directory; it is gone afterwards. */
export async function withBackendOn<T>(
  storage: string,
  task: (client: BackendClient) => Promise<T>,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<T> {
  const entry = fileURLToPath(new URL('../src/backend/main.ts', import.meta.url));
  const client = backendClient({ storage, start: { nodePath: process.execPath, entry, args, env } });
  try {
    return await task(client);
  } finally {
    await client.call('shutdown', {}).catch(() => undefined);
    client.dispose();
  }
}
