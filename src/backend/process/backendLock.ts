import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Disposable } from '../../base/disposable.ts';
import { identifyProcess, isOfThisBoot, livenessOf, type ProcessIdentity } from './processIdentity.ts';

const prefix = 'backend.lock.';
const released = 'released\n';
const identitySchema = z.object({
  pid: z.number(),
  host: z.string(),
  startTime: z.nullable(z.string()),
  bootId: z.nullable(z.string()),
});
const beatMs = 15_000;
/** How long a lock of another container of this machine, whose clock is ours, counts as held after its last beat. */
const containerLockMs = 4 * beatMs;
/** Digits of the count of beats. All beats have the same length: a reader that comes in the middle of one sees a whole record. */
const beatDigits = 12;
/** How long a holder may take between making its file and writing its name into it. */
const namingMs = 5000;

export interface BackendLock extends Disposable {
  /** Tells the lock that its directory has another path now. */
  moved(directory: string): void;
}

/** What is known of locks that other machines hold. */
export interface OtherMachines {
  /**
   * Whether its holder gave no sign of life for so long that it counts as dead.
   *
   * @param lock what can be seen of the lock: it changes with each beat.
   */
  isSilent(lock: string): boolean;
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
 * A holder on another machine or in another container cannot be asked whether it lives, so it counts its beats in the file. Clocks of two machines
 * differ, and programs that synchronise folders carry content over: so what counts is whether the file changes while our own clock runs.
 *
 * @param directory must exist and be writable.
 * @param others what was seen of the lock until now. Without it, a holder on another machine counts as alive.
 * @param onLost is called when another process took the lock all the same, which happens only after this process slept for long. This
 *   process must then stop writing.
 */
export function takeBackendLock(directory: string, onLost: () => void, others?: OtherMachines): LockResult {
  for (;;) {
    const current = highestLock(directory);
    const holder = holderOf(directory, current, others);
    if (holder.kind !== 'none') return { held: false, by: holder.kind === 'live' ? holder.identity : null };
    const next = current + 1;
    const path = lockPath(directory, next);
    if (!tryCreate(path)) continue;
    const own = identifyProcess(process.pid);
    nameHolder(path, own);
    // A slow process may have judged a lock that is gone by now, and created a number that was free again. Or another process judged it
    // dead before it wrote its name. Each writes before it looks, so at least one of the two sees the other.
    if (highestLock(directory) !== next || holderOf(directory, current, others).kind !== 'none') {
      ignoreMissing(() => unlinkSync(path));
      continue;
    }
    // The previous file stays, so that a listing at this moment is never empty.
    for (const older of lockNumbers(directory)) {
      if (older < current) ignoreMissing(() => unlinkSync(lockPath(directory, older)));
    }
    return { held: true, lock: keepFresh(directory, next, own, onLost) };
  }
}

/** The holder of the storage directory, if it has written its name yet. */
export function lockHolder(directory: string): ProcessIdentity | null {
  const holder = holderOf(directory, highestLock(directory));
  return holder.kind === 'live' ? holder.identity : null;
}

function keepFresh(takenIn: string, number: number, own: ProcessIdentity, onLost: () => void): BackendLock {
  let directory = takenIn;
  let beats = 0;
  const timer = setInterval(() => {
    const highest = highestOrNull(directory);
    if (highest !== null && highest !== number) return onLost();
    if (!beat(lockPath(directory, number), own, ++beats)) onLost();
  }, beatMs);
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

function holderOf(directory: string, number: number, others?: OtherMachines): Holder {
  if (number === 0) return { kind: 'none' };
  const path = lockPath(directory, number);
  let text: string;
  let mtimeMs: number;
  try {
    text = readFileSync(path, 'utf8');
    ({ mtimeMs } = statSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'none' };
    throw error;
  }
  const identity = parseIdentity(text);
  const ageMs = Date.now() - mtimeMs;
  // A time in the future means that the clock was set back since.
  if (!identity) return { kind: text === '' && Math.abs(ageMs) < namingMs ? 'unnamed' : 'none' };
  const liveness = livenessOf(identity);
  if (liveness !== 'elsewhere') return liveness === 'alive' ? { kind: 'live', identity } : { kind: 'none' };
  // A backend of an earlier version renews the file's time alone.
  const isDead = isOfThisBoot(identity)
    ? ageMs >= containerLockMs
    : (others?.isSilent(`${number} ${mtimeMs} ${text}`) ?? false);
  return isDead ? { kind: 'none' } : { kind: 'live', identity };
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
function nameHolder(path: string, own: ProcessIdentity): void {
  try {
    writeFileSync(path, record(own, 0));
  } catch (error) {
    ignoreMissing(() => unlinkSync(path));
    throw error;
  }
}

const record = (identity: ProcessIdentity, beats: number): string =>
  JSON.stringify({ ...identity, beats: String(beats).padStart(beatDigits, '0') });

/**
 * Writes the next beat over the last one. A file that cannot be read or written costs the backend nothing: it looks silent to other machines only,
 * and the next beat tries again.
 *
 * @returns false where the file names another process: a program that synchronises folders put another machine's in its place.
 */
function beat(path: string, own: ProcessIdentity, beats: number): boolean {
  try {
    const named = parseIdentity(readFileSync(path, 'utf8'));
    if (named && (named.pid !== own.pid || named.host !== own.host || named.startTime !== own.startTime)) return false;
    writeFileSync(path, record(own, beats), { flag: 'r+' });
  } catch {
    // As said above.
  }
  return true;
}

function ignoreMissing(action: () => void): void {
  try {
    action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
