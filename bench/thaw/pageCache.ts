import { execFileSync } from 'node:child_process';
import { existsSync, fsyncSync, mkdirSync, openSync, closeSync, readdirSync, renameSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

/** Every file below a folder. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Waits until the bytes of these files are on the disk. */
export function syncFiles(paths: readonly string[]): void {
  for (const path of paths) {
    const file = openSync(path, 'r+');
    fsyncSync(file);
    closeSync(file);
  }
}

/**
 * Frees the bytes of these files and moves them out of the way, into a folder of the same file system. To delete them would make each new file
 * dear: ext4 leaves an inode alone for minutes after its file was deleted, and looks at all of them each time.
 */
export function setAside(paths: readonly string[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  let number = readdirSync(folder).length;
  for (const path of paths) {
    if (!existsSync(path)) continue;
    truncateSync(path, 0);
    renameSync(path, join(folder, `${number++}`));
  }
}

/** Has the system forget what it holds of these files in memory; false where that cannot be done, as everywhere but on Linux. */
export function dropCaches(paths: readonly string[]): boolean {
  if (process.platform !== 'linux') return false;
  try {
    syncFiles(paths);
    // `nocache` of GNU dd is `posix_fadvise(POSIX_FADV_DONTNEED)`, which Node does not have.
    const script = 'for file do dd if="$file" iflag=nocache count=0 status=none || exit 1; done';
    for (let at = 0; at < paths.length; at += 500)
      execFileSync('sh', ['-c', script, 'sh', ...paths.slice(at, at + 500)]);
    return true;
  } catch {
    return false;
  }
}
