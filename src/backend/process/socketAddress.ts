import { chmodSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { randomId, sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, with its terminating NUL. */
const maxSocketPathBytes = 103;

/**
 * Where the backend of this storage directory may listen, best first. Each Unix socket lies in a directory that only this
 * user can enter; that directory exists when this returns.
 *
 * There is more than one because a path may be too long for a socket, and a file system may know no sockets at all (mounts
 * from another operating system).
 *
 * @throws CwmError AccessDenied when somebody else owns, or can enter, the place in the shared temporary directory.
 */
export function* socketAddresses(storage: string): Generator<string> {
  if (process.platform === 'win32') {
    yield `\\\\.\\pipe\\cwm-${sha256Hex(storage).slice(0, 16)}-${randomId()}`;
    return;
  }
  const inStorage = join(storage, 'run');
  if (fits(inStorage)) yield socketIn(makePrivate(inStorage));
  const short = `cwm-${userInfo().uid}-${sha256Hex(storage).slice(0, 16)}`;
  for (const base of [process.env['XDG_RUNTIME_DIR'], tmpdir(), '/tmp']) {
    if (base && isDirectory(base) && fits(join(base, short))) yield socketIn(makePrivate(join(base, short)));
  }
}

const socketIn = (directory: string): string => join(directory, 'backend.sock');

const fits = (directory: string): boolean => Buffer.byteLength(socketIn(directory)) <= maxSocketPathBytes;

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function makePrivate(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // lstat, not stat: a symbolic link put there by somebody else would lead out of this user's reach.
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid) {
    throw new CwmError('AccessDenied', `${directory} belongs to somebody else, so the backend does not listen there.`, {
      hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory of your own.',
    });
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
  return directory;
}
