import { chmodSync, lstatSync, mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerProblem } from '../../base/fileOwner.ts';
import { randomId, sha256Hex } from '../../base/hash.ts';
import { runDirectoryBases, runDirectoryName } from '../../base/runDirectory.ts';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, with its terminating NUL. */
const maxSocketPathBytes = 103;

/**
 * Where the backend of this storage directory may listen, best first. Each Unix socket lies in a directory that only this
 * user can enter; that directory exists when this returns.
 *
 * There is more than one because a path may be too long for a socket, and some file systems have no sockets (mounts from another
 * operating system). The name of a directory in a shared place can be guessed, and another user may have taken it: the next address
 * then has a name that nobody can guess. Clients read the address in `backend.json`, so any name will do.
 */
export function* socketAddresses(storage: string): Generator<string> {
  if (process.platform === 'win32') {
    yield `\\\\.\\pipe\\cwm-${sha256Hex(storage).slice(0, 16)}-${randomId()}`;
    return;
  }
  const inStorage = join(storage, 'run');
  if (fits(inStorage) && isMadePrivate(inStorage)) yield socketIn(inStorage);
  // The number, not the name: a container's user may be missing from /etc/passwd.
  const name = runDirectoryName(storage, process.getuid?.());
  for (const base of runDirectoryBases(process.env, tmpdir(), process.platform)) {
    if (!isDirectory(base)) continue;
    const known = join(base, name);
    if (fits(known) && isMadePrivate(known)) yield socketIn(known);
    const unguessable = fits(`${known}-XXXXXX`) ? madeWithRandomName(`${known}-`) : null;
    if (unguessable !== null) yield socketIn(unguessable);
  }
}

const socketIn = (directory: string): string => join(directory, 'backend.sock');

const fits = (directory: string): boolean => Buffer.byteLength(socketIn(directory)) <= maxSocketPathBytes;

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A directory outside the storage directory for the backend's own files; null when none can be made under a name that clients know. */
export const makeRunDirectory = (storage: string): string | null => runDirectories(storage).find(isMadePrivate) ?? null;

/** The paths of those directories, whether or not they exist. */
export function runDirectories(storage: string): readonly string[] {
  const name = runDirectoryName(storage, process.getuid?.());
  const bases = runDirectoryBases(process.env, tmpdir(), process.platform).filter(isDirectory);
  return bases.map((base) => join(base, name));
}

/** False when the directory cannot be made, belongs to another user, or cannot be closed to other users. */
function isMadePrivate(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // lstat, not stat: a symbolic link that another user made would lead out of this user's reach.
    const stat = lstatSync(directory);
    if (!stat.isDirectory() || ownerProblem(stat, process.getuid?.()) === 'foreign') return false;
    if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
    return true;
  } catch {
    return false;
  }
}

function madeWithRandomName(prefix: string): string | null {
  try {
    return mkdtempSync(prefix);
  } catch {
    return null;
  }
}
