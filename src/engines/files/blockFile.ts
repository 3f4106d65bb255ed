import { createHash } from 'node:crypto';
import { constants, lstatSync, type BigIntStats } from 'node:fs';
import { lstat, open, unlink } from 'node:fs/promises';
import type { BlockLocation, LocatedBlock } from '../../core/ports/engine.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';

/** One of the files that hold a block: several ranks or layer groups have one each. `label` tells them apart in the checksum. */
export interface BlockFile {
  readonly label: string;
  readonly path: string;
}

/** The source of a checksum: every byte, or the file's head where the engine writes one that covers the bytes. */
export type ChecksumOf = 'bytes' | 'head';

/** The folder of an engine's block files. */
export interface BlockLayout {
  /** Whether the files lie on a disk of this machine, so that asking for one takes microseconds. */
  readonly isLocal: boolean;
  /** Paths of the files that may hold this block, in a fixed order. They need not exist. */
  candidates(hash: string): Promise<readonly BlockFile[]>;
  /** Paths of files that are useless without the block: they are counted with it, and deleted with it. Default: none. */
  companions?(hash: string): readonly string[];
  /**
   * A block's file holds everything up to its end, and only some blocks have one. The one that is needed is the last from which a request
   * over the context can continue. Default: every full block has a file, and all are needed.
   */
  readonly isSparse?: boolean;
  /** The checksum of one file where the engine's files contain one; null when there is none. */
  checksum?(path: string, of: ChecksumOf, signal: AbortSignal): Promise<string | null>;
}

const chunkBytes = 1024 * 1024;

/** Block hashes become file names, so nothing else may pass. @throws CwmError InvalidParameter. */
export function assertBlockHash(hash: string): void {
  if (!/^[0-9a-f]{64}$/.test(hash))
    throw new CwmError(
      'InvalidParameter',
      `${JSON.stringify(hash.slice(0, 80))} is not a block hash of 64 hex digits.`,
    );
}

/** Stat fields of a block; those of several files stand side by side. Null when there is no file. */
export async function statBlock(layout: BlockLayout, hash: string): Promise<LocatedBlock['stat']> {
  const files = await layout.candidates(hash);
  // A promise costs many times as much as such a call, and a long context has a thousand blocks.
  const stats = layout.isLocal ? files.map(statFileNow) : await Promise.all(files.map(statFile));
  const stat = combine(stats.filter((stat) => stat !== null));
  const besides = layout.companions?.(hash).map((path) => statFileNow({ path })) ?? [];
  return stat && besides.length > 0
    ? { ...stat, besideBytes: sizeOf(besides.filter((beside) => beside !== null)) }
    : stat;
}

/**
 * Block files that this process may not read are out of sight: the server may well read them. Their owner is another user, mostly.
 *
 * @param locate finds the blocks; ReadFailed is for files and folders that cannot be looked at.
 */
export async function unlessUnreadable(
  layout: BlockLayout,
  locate: () => Promise<BlockLocation>,
): Promise<BlockLocation> {
  try {
    const location = await locate();
    const first = location.reachable ? location.blocks.find(({ stat }) => stat !== null) : undefined;
    for (const { path } of first ? await layout.candidates(first.hash) : []) await requireReadable(path);
    return location;
  } catch (error) {
    if (isCwmError(error, 'ReadFailed')) return { reachable: false, why: error.message };
    throw error;
  }
}

async function requireReadable(path: string): Promise<void> {
  try {
    await (await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))).close();
  } catch (cause) {
    if (!isMissing(cause)) throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause });
  }
}

const sizeOf = (stats: readonly BigIntStats[]): number => stats.reduce((total, { size }) => total + Number(size), 0);

function combine(stats: readonly BigIntStats[]): LocatedBlock['stat'] {
  if (stats.length === 0) return null;
  return {
    sizeBytes: sizeOf(stats),
    mtimeNs: stats.map(({ mtimeNs }) => mtimeNs).join(','),
    ctimeNs: stats.map(({ ctimeNs }) => ctimeNs).join(','),
    inode: stats.map(({ ino }) => ino).join(','),
  };
}

/** SHA-256 over the label and the bytes of each of the block's files, in hex; null when there is none. */
export async function checksumBlock(
  layout: BlockLayout,
  hash: string,
  of: ChecksumOf,
  signal: AbortSignal,
): Promise<string | null> {
  if (layout.checksum) {
    const [file] = await layout.candidates(hash);
    return file ? layout.checksum(file.path, of, signal) : null;
  }
  const digest = createHash('sha256');
  let found = false;
  for (const { label, path } of await layout.candidates(hash)) {
    for await (const chunk of readChunks(path, signal)) {
      if (chunk === 'opened') {
        found = true;
        digest.update(`${label}\0`);
      } else digest.update(chunk);
    }
  }
  return found ? digest.digest('hex') : null;
}

/** @returns the bytes that this freed. */
export async function deleteBlock(layout: BlockLayout, hash: string): Promise<number> {
  let freedBytes = 0;
  const paths = [...(await layout.candidates(hash)).map(({ path }) => path), ...(layout.companions?.(hash) ?? [])];
  for (const path of paths) {
    const stat = await statFile({ path });
    if (!stat) continue;
    try {
      await unlink(path);
      freedBytes += Number(stat.size);
    } catch (cause) {
      if (!isMissing(cause)) throw new CwmError('WriteFailed', `${path} cannot be deleted.`, { cause });
    }
  }
  return freedBytes;
}

async function statFile({ path }: Pick<BlockFile, 'path'>): Promise<BigIntStats | null> {
  try {
    return regular(await lstat(path, { bigint: true }));
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause });
  }
}

function statFileNow({ path }: Pick<BlockFile, 'path'>): BigIntStats | null {
  try {
    return regular(lstatSync(path, { bigint: true, throwIfNoEntry: false }));
  } catch (cause) {
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause });
  }
}

/** Null for anything but a regular file: a link could lead anywhere. */
const regular = (stat: BigIntStats | undefined): BigIntStats | null => (stat?.isFile() === true ? stat : null);

async function* readChunks(path: string, signal: AbortSignal): AsyncGenerator<'opened' | Uint8Array> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (cause) {
    if (isMissing(cause)) return;
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause });
  }
  try {
    yield 'opened';
    const buffer = new Uint8Array(chunkBytes);
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, chunkBytes);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** `ELOOP`: a symbolic link where a file should be. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(String(error.code));
