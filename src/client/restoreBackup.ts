import type { RouteOutput } from '../protocol/api.ts';
import { CwmError } from '../protocol/errors.ts';
import type { BackendStart } from './backendChild.ts';
import { readBackendRecord } from './backendRecord.ts';
import { connectBackend, type ConnectOptions } from './connectBackend.ts';
import { retireBackend } from './retireBackend.ts';

/** Operations of the running backend end first, and a store of months is copied. */
const patienceMs = 30 * 60_000;
/** Another client may start a backend of its own in between. */
const attempts = 5;

/**
 * Puts the records of a backup in place of the store's, which become a backup themselves: starts a backend that does it before it opens the store,
 * and waits. That backend then serves the store.
 *
 * @returns the backups then.
 * @throws CwmError InvalidParameter where there is no such backup, UnsupportedSchema where a later version wrote it: nothing was changed then.
 *   BackendUnavailable when another client started its backend first each time, Cancelled.
 */
export async function restoreBackup(
  options: ConnectOptions & { readonly start: BackendStart },
  backup: string,
  signal: AbortSignal,
): Promise<RouteOutput<'listBackups'>> {
  const start = { ...options.start, args: [...(options.start.args ?? []), '--restore-backup', backup] };
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const running = await readBackendRecord(options.storage);
    if (running) await retireBackend(running, patienceMs, signal);
    // This client is used once: it would restore the backup again whenever it starts a backend.
    const client = await connectBackend({ ...options, start, deadlineMs: patienceMs }, signal);
    try {
      const backups = await client.call('listBackups', {}, { signal });
      if (backups.restored === backup) return backups;
    } finally {
      client.dispose();
    }
  }
  throw new CwmError('BackendUnavailable', 'Another program started a backend first, each time.', {
    hint: 'Close other windows of VS Code and other clients of this storage directory, and try again.',
  });
}
