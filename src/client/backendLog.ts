import { constants, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backendLogFile } from '../protocol/backendRecord.ts';
import { makeUserRunDirectory } from './userRunDirectories.ts';
import { cannotBeWritten, makeStorageDirectory } from './storageDirectory.ts';

/** A link in the log's place would have this process write to any file of its user. Windows has no such flag. */
const appendFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** Where a backend's stdout and stderr go. */
export interface BackendLog {
  readonly path: string;
  /** The caller closes it. */
  readonly descriptor: number;
}

/**
 * Opens the log of the storage directory, which it makes when there is none. A directory that cannot be written may still be read, so
 * its log is in another place.
 *
 * @throws CwmError WriteFailed when there is no storage directory and none can be made.
 */
export function openBackendLog(storage: string): BackendLog {
  makeStorageDirectory(storage);
  try {
    return openIn(storage);
  } catch (error) {
    const place = existsSync(storage) ? makeUserRunDirectory(storage) : null;
    if (place === null) throw cannotBeWritten(storage, error);
    return openIn(place);
  }
}

function openIn(directory: string): BackendLog {
  const path = join(directory, backendLogFile);
  return { path, descriptor: openSync(path, appendFlags, 0o600) };
}

const tailLines = 8;
const tailCharacters = 2000;

/** The last lines of a log; empty when it cannot be read. */
export function logEnd(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return '';
  }
  const lines = text.trimEnd().split('\n').slice(-tailLines);
  return lines.join('\n').slice(-tailCharacters);
}
