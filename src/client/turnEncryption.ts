import { join } from 'node:path';
import type { RouteOutput } from '../protocol/api.ts';
import { CwmError } from '../protocol/errors.ts';
import type { BackendStart } from './backendChild.ts';
import { readBackendRecord } from './backendRecord.ts';
import { retireBackend } from './retireBackend.ts';
import { userHome } from './userHome.ts';
import { connectBackend, type ConnectOptions } from './connectBackend.ts';

/** How the store should be stored. The key file's path is absolute; the file is created when there is none. */
export type EncryptionTarget = { readonly state: 'on'; readonly keyFile: string } | { readonly state: 'off' };

/** Rewriting a store of months takes a while. */
const conversionMs = 30 * 60_000;
/** Another client may start a backend of its own in between. */
const attempts = 5;

export const defaultKeyFile = (): string => join(userHome(), '.config', 'cwm', 'store.key');

/**
 * Encrypts or decrypts the store: starts a backend that does it before it opens the store, and waits. That backend then serves the
 * store. An abort ends the wait only; a conversion that has begun continues.
 *
 * @throws CwmError EncryptionKey when the key cannot be used: nothing was changed then. BackendUnavailable when another client started
 *   its backend first each time, Cancelled.
 */
export async function turnEncryption(
  options: ConnectOptions & { readonly start: BackendStart },
  target: EncryptionTarget,
  signal: AbortSignal,
): Promise<RouteOutput<'encryption'>> {
  const start = { ...options.start, args: [...(options.start.args ?? []), ...targetArguments(target)] };
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const running = await readBackendRecord(options.storage);
    if (running) await retireBackend(running, conversionMs, signal);
    // This client is used once: it would convert the store again whenever it starts a backend.
    const client = await connectBackend({ ...options, start, deadlineMs: conversionMs }, signal);
    try {
      const encryption = await client.call('encryption', {}, { signal });
      if (encryption.state === target.state) return encryption;
    } finally {
      client.dispose();
    }
  }
  throw new CwmError('BackendUnavailable', 'Another program started a backend first, each time.', {
    hint: 'Close other windows of VS Code and other clients of this storage directory, and try again.',
  });
}

const targetArguments = (target: EncryptionTarget): string[] => [
  '--encryption',
  target.state,
  ...(target.state === 'on' ? ['--encryption-key-file', target.keyFile] : []),
];
