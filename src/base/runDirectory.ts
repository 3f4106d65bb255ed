import { sha256Hex } from './hash.ts';

/**
 * Name of the directory, among temporary files, that belongs to the backend of one storage directory and one user. It holds the socket
 * when the storage path is too long for one, and the backend's lock, log and record when the storage directory cannot be written.
 */
export const runDirectoryName = (storage: string, uid: number | undefined): string =>
  `cwm-${uid ?? 0}-${sha256Hex(storage).slice(0, 16)}`;

/** Where directories of that name are made, best first. `temporary` is the system's directory for temporary files. */
export function runDirectoryBases(
  env: Readonly<Record<string, string | undefined>>,
  temporary: string,
  platform: string,
): readonly string[] {
  const bases = platform === 'win32' ? [temporary] : [env['XDG_RUNTIME_DIR'], temporary, '/tmp'];
  return [...new Set(bases.filter((base) => base !== undefined && base !== ''))] as string[];
}
