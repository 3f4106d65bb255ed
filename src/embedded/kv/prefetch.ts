import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pieceEndings } from './files/blockFile.ts';

const chunkBytes = 1 << 20;
/** After so many bytes, or files, everything else that the process has to do gets its turn. */
const turnBytes = 4 << 20;
const turnFiles = 16;

/**
 * Reads the files of these blocks, so that the system has them in memory when they are loaded: while the model loads, the disk has nothing
 * else to do. Takes at most half of the memory that is free. Which model's they are is not known yet, so every folder is tried. A file
 * that cannot be read is left out: the load decides. The calls are synchronous, because promises take several times as long for a small
 * file, and the model's loading needs the processor.
 *
 * @returns the bytes that were read.
 */
export async function prefetchBlocks(kvDir: string, hashes: readonly string[], signal: AbortSignal): Promise<number> {
  const folders = (await readdir(kvDir).catch(() => [])).filter((name) => /^[0-9a-f]{32}$/.test(name));
  const mostBytes = process.availableMemory() / 2;
  let [bytes, turn, files] = [0, 0, 0];
  for (const hash of hashes) {
    if (!/^[0-9a-f]{64}$/.test(hash)) continue;
    for (const folder of folders) {
      for (const ending of Object.values(pieceEndings)) {
        if (bytes >= mostBytes) return bytes;
        bytes += readThrough(join(kvDir, folder, hash.slice(0, 2), `${hash}${ending}`));
      }
    }
    if (++files % turnFiles === 0 || bytes - turn >= turnBytes) {
      turn = bytes;
      await setImmediate();
      signal.throwIfAborted();
    }
  }
  return bytes;
}

let chunk: Buffer | null = null;

function readThrough(path: string): number {
  try {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= chunkBytes) return size === 0 ? 0 : readFileSync(path).length;
    chunk ??= Buffer.allocUnsafeSlow(chunkBytes);
    const file = openSync(path, 'r');
    try {
      for (let at = 0; ;) {
        const got = readSync(file, chunk, 0, chunkBytes, at);
        if (got === 0) return at;
        at += got;
      }
    } finally {
      closeSync(file);
    }
  } catch {
    return 0;
  }
}
