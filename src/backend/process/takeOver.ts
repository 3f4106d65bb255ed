import { lstatSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TakenOver } from '../../protocol/backendRecord.ts';
import { recordDirectories, storeMarkerFile } from '../../protocol/storeMarks.ts';
import { takeBackendLock } from './backendLock.ts';

/** The calls that change something, so that a test can crash before any of them. */
export interface TakeOverCalls {
  rename(from: string, to: string): void;
  link(target: string, path: string): void;
}

const diskCalls: TakeOverCalls = {
  rename: renameSync,
  // A junction needs no privilege on Windows; other systems ignore the word.
  link: (target, path) => symlinkSync(target, path, 'junction'),
};

/**
 * Makes the store in `from` available at `to`. It never copies: it renames the directory, and leaves a link in the old place for
 * programs of an earlier version. When the directory cannot be renamed (a backend works on it, another file system, no permission),
 * `to` becomes a link to it. After a crash between two steps the whole store is in one of the two places, and the next call finishes
 * the work.
 *
 * When a store without records is in the way, it is renamed.
 *
 * @param from absolute, like `to`.
 * @returns `none` when there is nothing to take over, or when both have records.
 * @throws Node's own error when even a link cannot be made.
 */
export function takeOverStore(from: string, to: string, calls: TakeOverCalls = diskCalls): TakenOver {
  if (kindOf(from) !== 'directory' || !hasRecords(from)) return 'none';
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  if (!makeRoom(to, calls)) return 'none';
  if (tryMove(from, to, calls)) {
    tryLink(to, from, calls);
    return 'moved';
  }
  // Another process may have done the same first.
  if (kindOf(to) !== 'nothing') return 'none';
  calls.link(from, to);
  return 'linked';
}

/** Whether anything is stored there that a user would miss. */
function hasRecords(directory: string): boolean {
  const names = (path: string): readonly string[] => (kindOf(path) === 'directory' ? readdirSync(path) : []);
  return (
    kindOf(join(directory, storeMarkerFile)) !== 'nothing' &&
    recordDirectories.some((name) => names(join(directory, name)).length > 0)
  );
}

/** False when the directory there must stay. */
function makeRoom(path: string, calls: TakeOverCalls): boolean {
  const kind = kindOf(path);
  if (kind !== 'directory') return kind === 'nothing';
  if (hasRecords(path)) return false;
  const taken = takeBackendLock(path, () => undefined);
  if (!taken.held) return false;
  try {
    calls.rename(path, `${path}.unused-${Date.now()}`);
    return true;
  } catch {
    return false;
  } finally {
    taken.lock.dispose();
  }
}

/** Under the lock of the directory, so that no backend starts in it at the same time. */
function tryMove(from: string, to: string, calls: TakeOverCalls): boolean {
  try {
    const taken = takeBackendLock(from, () => undefined);
    if (!taken.held) return false;
    try {
      calls.rename(from, to);
      taken.lock.moved(to);
      return true;
    } finally {
      taken.lock.dispose();
    }
  } catch {
    return false;
  }
}

function tryLink(target: string, path: string, calls: TakeOverCalls): void {
  try {
    calls.link(target, path);
  } catch {
    // A program of an earlier version starts with an empty store then.
  }
}

function kindOf(path: string): 'nothing' | 'directory' | 'other' {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 'nothing' : stat.isDirectory() ? 'directory' : 'other';
}
