import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mapBounded } from '../../base/mapBounded.ts';
import { pieceEndings } from './blockFile.ts';

const chunkBytes = 1 << 20;
const readersAtOnce = 2;

/**
 * Reads the files of these blocks, so that the system has them in memory when they are loaded: while the model loads, the disk has nothing
 * else to do. Takes at most half of the memory that is free. Which model's they are is not known yet, so every folder is tried. A file
 * that cannot be read is left out: the load decides.
 *
 * @returns the bytes that were read.
 */
export async function prefetchBlocks(kvDir: string, hashes: readonly string[], signal: AbortSignal): Promise<number> {
  const folders = (await readdir(kvDir).catch(() => [])).filter((name) => /^[0-9a-f]{32}$/.test(name));
  let leftBytes = process.availableMemory() / 2;
  const read = async (hash: string): Promise<number> => {
    let bytes = 0;
    if (!/^[0-9a-f]{64}$/.test(hash)) return bytes;
    for (const folder of folders) {
      for (const ending of Object.values(pieceEndings)) {
        if (leftBytes <= 0) return bytes;
        const fileBytes = await readThrough(join(kvDir, folder, hash.slice(0, 2), `${hash}${ending}`)).catch(() => 0);
        leftBytes -= fileBytes;
        bytes += fileBytes;
      }
    }
    return bytes;
  };
  const bytes = await mapBounded(hashes, readersAtOnce, read, signal);
  return bytes.reduce((sum, each) => sum + each, 0);
}

async function readThrough(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, at);
    if (bytesRead === 0) return at;
    at += bytesRead;
  }
}
