import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

/**
 * The block files of vLLM's file tier below its root: block hash (64 hex digits) to path. Hidden folders count: vLLM makes one
 * of a model path that begins with a dot. Files that are still being written have another ending and do not.
 */
export async function blockFiles(kvDir: string): Promise<Map<string, string>> {
  const entries = await readdir(kvDir, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile() && entry.name.endsWith('.bin'))
      .map((entry) => [basename(entry.name, '.bin'), join(entry.parentPath, entry.name)]),
  );
}
