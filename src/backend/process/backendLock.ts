import { readdirSync, readFileSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Disposable } from '../../base/disposable.ts';
import { identifyProcess, livenessOf, type ProcessIdentity } from './processIdentity.ts';

const prefix = 'backend.lock.';
const released = 'released\n';
const identitySchema = z.object({
  pid: z.number(),
  host: z.string(),
  startTime: z.nullable(z.string()),
  bootId: z.nullable(z.string()),
});
const touchIntervalMs = 15_000;
/** How long a lock of another machine or container counts as held after it was last touched. */
const foreignLockMs = 4 * touchIntervalMs;
/** How long a holder may take between making its file and writing its name into it. */
const namingMs = 5000;

export interface BackendLock extends Disposable {
  /** Tells the lock that its directory has another path now. */
  moved(directory: string): void;
}

/** `by` is null while the holder has not written its name yet. */
export type LockResult =
  | { readonly held: true; readonly lock: BackendLock }
  | { readonly held: false; readonly by: ProcessIdentity | null };

/**
 * Takes the storage directory for this process, or says who has it. Never waits.
 *
 * A lock is a file `backend.lock.<n>` that names its holder; the highest number counts. A stale lock is never removed first, because
 * two processes that do so at the same time would remove each other's. A process that finds a dead holder creates the file with the
 * next number, which the file system lets exactly one process do. Older files are removed later.
 *
 * A holder on another machine or in another container cannot be asked whether it lives, so it updates its file's time regularly; after
 * 60 s without an update it counts as dead.
 *
 * @param directory must exist and be writable.
 * @param onLost is called when another process took the lock all the same, which happens only after this process slept for long. This
 *   process must then stop writing.
 */
export function takeBackendLock(directory: string, onLost: () => void): LockResult {
  for (;;) {
    const current = highestLock(directory);
    const holder = holderOf(directory, current);
    if (holder.kind !== 'none') return { held: false, by: holder.kind === 'live' ? holder.identity : null };
    const next = current + 1;
    const path = lockPath(directory, next);
    if (!tryCreate(path)) continue;
    nameHolder(path);
    // A slow process may have judged a lock that is gone by now, and created a number that was free again. Or another process judged it
    // dead before it wrote its name. Each writes before it looks, so at least one of the two sees the other.
    if (highestLock(directory) !== next || holderOf(directory, current).kind !== 'none') {
      ignoreMissing(() => unlinkSync(path));
      continue;
    }
    // The previous file stays, so that a listing at this moment is never empty.
    for (const older of lockNumbers(directory)) {
      if (older < current) ignoreMissing(() => unlinkSync(lockPath(directory, older)));
    }
    return { held: true, lock: keepFresh(directory, next, onLost) };
  }
}

/** The holder of the storage directory, if it has written its name yet. */
export function lockHolder(directory: string): ProcessIdentity | null {
  const holder = holderOf(directory, highestLock(directory));
  return holder.kind === 'live' ? holder.identity : null;
}

function keepFresh(takenIn: string, number: number, onLost: () => void): BackendLock {
  let directory = takenIn;
  const timer = setInterval(() => {
    const highest = highestOrNull(directory);
    if (highest !== null && highest !== number) return onLost();
    touch(lockPath(directory, number));
  }, touchIntervalMs);
  timer.unref();
  let disposed = false;
  return {
    moved: (to) => (directory = to),
    dispose: () => {
      if (disposed) return;
      disposed = true;
      clearInterval(timer);
      // The file is not created again when the whole directory is gone.
      ignoreMissing(() => writeFileSync(lockPath(directory, number), released));
    },
  };
}

/** What a lock file says about its holder: it lives, it has not written its name yet, or there is none any more. */
type Holder = { readonly kind: 'live'; readonly identity: ProcessIdentity } | { readonly kind: 'unnamed' | 'none' };

function holderOf(directory: string, number: number): Holder {
  if (number === 0) return { kind: 'none' };
  const path = lockPath(directory, number);
  let text: string;
  let ageMs: number;
  try {
    text = readFileSync(path, 'utf8');
    ageMs = Date.now() - statSync(path).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'none' };
    throw error;
  }
  const identity = parseIdentity(text);
  // A time in the future means that the clock was set back since.
  if (!identity) return { kind: text === '' && Math.abs(ageMs) < namingMs ? 'unnamed' : 'none' };
  const liveness = livenessOf(identity);
  const live = liveness === 'alive' || (liveness === 'elsewhere' && ageMs < foreignLockMs);
  return live ? { kind: 'live', identity } : { kind: 'none' };
}

function parseIdentity(text: string): ProcessIdentity | null {
  try {
    const parsed = identitySchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

const lockPath = (directory: string, number: number): string => join(directory, `${prefix}${number}`);

const lockNumbers = (directory: string): number[] =>
  readdirSync(directory)
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .filter((number) => Number.isSafeInteger(number) && number > 0);

/** @returns null when the directory cannot be read now; 0 when it is gone, and with it the lock. */
function highestOrNull(directory: string): number | null {
  try {
    return highestLock(directory);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 0 : null;
  }
}

const highestLock = (directory: string): number => Math.max(0, ...lockNumbers(directory));

function tryCreate(path: string): boolean {
  try {
    writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** When the name did not fit on the disk, removes the file: it would count as a holder for a while. */
function nameHolder(path: string): void {
  try {
    writeFileSync(path, JSON.stringify(identifyProcess(process.pid)));
  } catch (error) {
    ignoreMissing(() => unlinkSync(path));
    throw error;
  }
}

/**
 * Makes the file look fresh. Where its times cannot be set (another owner, some network drives), its bytes are written again. A file that
 * cannot be touched at all looks old to other machines only, and costs the backend nothing.
 */
function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    try {
      writeFileSync(path, readFileSync(path), { flag: 'r+' });
    } catch {
      // The next tick tries again.
    }
  }
}

function ignoreMissing(action: () => void): void {
  try {
    action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
