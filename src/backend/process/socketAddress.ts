import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { randomId, sha256Hex } from '../../base/hash.ts';
import { isMadePrivate, runDirectories } from '../../base/runDirectory.ts';
import { runSystem } from './runSystem.ts';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, with its terminating NUL. */
const maxSocketPathBytes = 103;

/**
 * Where the backend of this storage directory may listen, best first. Each Unix socket lies in a directory that only this
 * user can enter; that directory exists when this returns.
 *
 * There is more than one because a path may be too long for a socket, and some file systems have no sockets (mounts from another
 * operating system). The name of a directory in a shared place can be guessed, and another user may have taken it: the next address
 * then has a name that nobody can guess. Clients read the address in `backend.json`, so any name will do.
 *
 * @param isWritable whether the backend may add something to the storage directory. Another machine's it leaves as it is.
 */
export function* socketAddresses(storage: string, isWritable = true): Generator<string> {
  if (process.platform === 'win32') {
    yield `\\\\.\\pipe\\cwm-${sha256Hex(storage).slice(0, 16)}-${randomId()}`;
    return;
  }
  const system = runSystem();
  const inStorage = join(storage, 'run');
  if (isWritable && fits(inStorage) && isMadePrivate(inStorage, system)) yield socketIn(inStorage);
  for (const known of runDirectories(storage, system)) {
    if (fits(known) && isMadePrivate(known, system)) yield socketIn(known);
    const unguessable = fits(`${known}-XXXXXX`) ? madeWithRandomName(`${known}-`) : null;
    if (unguessable !== null) yield socketIn(unguessable);
  }
}

const socketIn = (directory: string): string => join(directory, 'backend.sock');

const fits = (directory: string): boolean => Buffer.byteLength(socketIn(directory)) <= maxSocketPathBytes;

function madeWithRandomName(prefix: string): string | null {
  try {
    return mkdtempSync(prefix);
  } catch {
    return null;
  }
}
