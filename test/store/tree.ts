import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { sha256Hex } from '../../src/base/hash.ts';

/** Every file below the directory with the SHA-256 of its content, but for the index image. */
export async function treeOf(root: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (name === 'index.sqlite') continue;
    tree[name] = entry.isDirectory() ? 'directory' : sha256Hex(await readFile(path));
  }
  return tree;
}
