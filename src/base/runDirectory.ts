import { join } from 'node:path';
import { ownerProblem, type OwnedFile } from './fileOwner.ts';
import { sha256Hex } from './hash.ts';

/** The calls of `node:fs` that they need. */
interface DirectoryCalls {
  mkdirSync(path: string, options: { readonly recursive: true; readonly mode: number }): unknown;
  chmodSync(path: string, mode: number): void;
  lstatSync(path: string): OwnedFile & { isDirectory(): boolean };
  statSync(path: string, options: { readonly throwIfNoEntry: false }): { isDirectory(): boolean } | undefined;
}

/**
 * The facts and calls of the system behind run directories. The backend and its clients use the same ones, so they trust the same
 * directories.
 */
export interface RunDirectorySystem {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  /** The user's number; undefined where the system has none. */
  readonly uid: number | undefined;
  /** The system's directory for temporary files. */
  readonly temporary: string;
  readonly files: DirectoryCalls;
}

/**
 * Name of the directory, among temporary files, that belongs to the backend of one storage directory and one user. It holds the socket
 * when the storage path is too long for one, and the backend's lock, log and record when the storage directory cannot be written.
 */
const runDirectoryName = (storage: string, uid: number | undefined): string =>
  `cwm-${uid ?? 0}-${sha256Hex(storage).slice(0, 16)}`;

/** Their paths, best first, in directories that exist. They need not exist themselves. */
export function runDirectories(storage: string, system: RunDirectorySystem): readonly string[] {
  const { env, platform, temporary, uid, files } = system;
  const named = platform === 'win32' ? [temporary] : [env['XDG_RUNTIME_DIR'], temporary, '/tmp'];
  return [...new Set(named)]
    .filter((base): base is string => base !== undefined && base !== '')
    .filter((base) => files.statSync(base, { throwIfNoEntry: false })?.isDirectory())
    .map((base) => join(base, runDirectoryName(storage, uid)));
}

/** The first of them that can be made, for this user alone; null when none can. */
export const makeRunDirectory = (storage: string, system: RunDirectorySystem): string | null =>
  runDirectories(storage, system).find((directory) => isMadePrivate(directory, system)) ?? null;

/** False when the directory cannot be made, belongs to another user, or cannot be closed to other users. */
export function isMadePrivate(directory: string, { files, uid }: RunDirectorySystem): boolean {
  try {
    files.mkdirSync(directory, { recursive: true, mode: 0o700 });
    // lstat, not stat: a symbolic link that another user made would lead out of this user's reach.
    const stat = files.lstatSync(directory);
    if (!stat.isDirectory() || ownerProblem(stat, uid) === 'foreign') return false;
    if ((stat.mode & 0o077) !== 0) files.chmodSync(directory, 0o700);
    return true;
  } catch {
    return false;
  }
}
