import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod/mini';
import { sha256Hex } from '../../base/hash.ts';

/** Hashes of model files by path, each valid as long as the file's stat stays as it was. */
const hashCacheSchema = z.record(z.string(), z.object({ stat: z.string(), sha256: z.string() }));

/**
 * SHA-256 of a model: of its file, or over the hashes of all its parts in order. Reading many gigabytes takes a while, so a
 * file whose size, times and inode are as they were last time is not read again (`cacheFile` remembers).
 */
export async function hashModel(
  parts: readonly string[],
  cacheFile: string,
  log: (message: string) => void,
): Promise<string> {
  const hashes: string[] = [];
  for (const part of parts) hashes.push(await hashFile(part, cacheFile, log));
  return hashes.length === 1 ? (hashes[0] ?? '') : sha256Hex(hashes.join('\n'));
}

/** Changes when anybody writes to one of these files, replaces it, or points a link elsewhere. Empty for a missing file. */
export const statOfFiles = (paths: readonly string[]): string => paths.map(statOf).join('\n');

function statOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat ? [stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino].join(' ') : '';
}

async function hashFile(path: string, cacheFile: string, log: (message: string) => void): Promise<string> {
  const stat = statOf(path);
  const cache = readCache(cacheFile);
  const known = cache[path];
  if (known?.stat === stat) return known.sha256;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  const sha256 = hash.digest('hex');
  try {
    await writeFileAtomic(cacheFile, JSON.stringify({ ...cache, [path]: { stat, sha256 } }), { mode: 0o600 });
  } catch (error) {
    log(`The model's hash cannot be remembered: ${error instanceof Error ? error.message : String(error)}`);
  }
  return sha256;
}

function readCache(cacheFile: string): z.infer<typeof hashCacheSchema> {
  try {
    return hashCacheSchema.parse(JSON.parse(readFileSync(cacheFile, 'utf8')));
  } catch {
    // Absent or damaged: a cache, so it is made again.
    return {};
  }
}
