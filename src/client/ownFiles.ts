import { constants } from 'node:fs';
import { lstat, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ownerProblem, ownerProblemInWords } from '../base/fileOwner.ts';
import { mostBackendRecordBytes } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';

/*
 * A client sends the user's words to the address in `backend.json`. So it first checks who can have written the storage directory, that
 * file and the socket. Another user who creates one of them beforehand gets nothing.
 */

const uid = process.getuid?.();
// Windows has no such flag, and no links that an ordinary user could make.
const noFollow = constants.O_NOFOLLOW ?? 0;
// Opening a named pipe would wait for its other end.
const noWait = constants.O_NONBLOCK ?? 0;
const pipePrefix = String.raw`\\.\pipe\cwm-`;

/**
 * Whether other users cannot enter this directory. False also when there is none.
 *
 * @throws CwmError AccessDenied when it belongs to another user.
 */
export async function isOwnDirectory(directory: string): Promise<boolean> {
  const found = await orNull(stat(directory));
  if (!found) return false;
  const problem = ownerProblem(found, uid);
  if (problem === 'foreign') throw notYours(directory, ownerProblemInWords(problem, found));
  return problem === null;
}

const notYours = (directory: string, why: string): CwmError =>
  new CwmError('AccessDenied', `The storage directory ${directory} ${why}, so nothing is sent to a backend there.`, {
    hint: 'Name a storage directory of your own, or make this one yours with chown.',
  });

/** The text of a short file that only this user can have written; null where there is none. */
export async function readOwnFile(path: string): Promise<string | null> {
  const handle = await orNull(open(path, constants.O_RDONLY | noFollow | noWait));
  if (!handle) return null;
  try {
    const found = await handle.stat();
    const isOwn = found.isFile() && found.size <= mostBackendRecordBytes && ownerProblem(found, uid) === null;
    return isOwn ? await handle.readFile('utf8') : null;
  } finally {
    await handle.close();
  }
}

/**
 * Whether only this user can listen at this address. On Windows the name of a pipe says only that it is meant for a backend. There, as
 * everywhere, the backend must prove on each connection that it knows the token (provenConnection.ts).
 */
export async function isOwnAddress(address: string): Promise<boolean> {
  if (process.platform === 'win32') return address.startsWith(pipePrefix);
  const [socket, directory] = await Promise.all([orNull(lstat(address)), orNull(lstat(dirname(address)))]);
  if (!socket?.isSocket() || !directory?.isDirectory()) return false;
  // Modes of sockets mean nothing on some systems: the directory's mode decides who can connect.
  return ownerProblem({ uid: socket.uid, mode: 0 }, uid) === null && ownerProblem(directory, uid) === null;
}

async function orNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch {
    return null;
  }
}
