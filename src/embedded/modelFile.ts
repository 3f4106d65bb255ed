import { createHash } from 'node:crypto';
import { createReadStream, openSync, readFileSync, readSync, closeSync, realpathSync, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod/mini';
import { CwmError } from '../protocol/errors.ts';

/** Hashes of model files by path, each valid as long as the file's stat stays as it was. */
const hashCacheSchema = z.record(z.string(), z.object({ stat: z.string(), sha256: z.string() }));

/**
 * The model's absolute path, when a file that begins like a GGUF is there.
 *
 * @throws CwmError PathNotFound when there is none, NotAModel when it is no GGUF.
 */
export function checkModelFile(path: string): string {
  let magic: string;
  let resolved: string;
  try {
    resolved = realpathSync(path);
    if (!statSync(resolved).isFile()) throw new CwmError('NotAModel', `${path} is not a file.`);
    magic = readStart(resolved, 4).toString('latin1');
  } catch (cause) {
    if (cause instanceof CwmError) throw cause;
    throw new CwmError('PathNotFound', `The model file ${path} can't be read.`, { cause });
  }
  if (magic !== 'GGUF') throw new CwmError('NotAModel', `${path} is not a GGUF file.`);
  return resolved;
}

/**
 * SHA-256 of the model file. Reading many gigabytes takes a while, so a file whose size, times and inode are as they were
 * last time is not read again (`cacheFile` remembers).
 */
export async function hashModelFile(path: string, cacheFile: string, log: (message: string) => void): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = statSync(path, { bigint: true });
  const stat = [size, mtimeNs, ctimeNs, ino].join(' ');
  const cache = readCache(cacheFile);
  const known = cache[path];
  if (known?.stat === stat) return known.sha256;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  const sha256 = hash.digest('hex');
  try {
    await writeFileAtomic(cacheFile, JSON.stringify({ ...cache, [path]: { stat, sha256 } }), { mode: 0o600 });
  } catch (error) {
    log(`The model's hash can't be remembered: ${error instanceof Error ? error.message : String(error)}`);
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

function readStart(path: string, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const file = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, length, 0));
  } finally {
    closeSync(file);
  }
}
