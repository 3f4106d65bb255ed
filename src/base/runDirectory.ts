import { sha256Hex } from './hash.ts';

/**
 * Name, in a directory for temporary files, of what belongs to the backend of one storage directory and one user: its socket where the
 * storage path is too long for one, and everything that a backend writes about itself where the storage directory cannot be written.
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
