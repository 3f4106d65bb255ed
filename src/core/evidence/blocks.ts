import type { BlockRecord } from '../../protocol/schemas/window.ts';
import type { BlockLocation, Engine, LocatedBlock } from '../ports/engine.ts';

/** Other windows' records of the same blocks (`BlockRecords.checksumsOfOthers`). */
export type ChecksumsOfOthers = (hashes: readonly string[]) => Promise<ReadonlyMap<string, readonly string[]>>;

/** A comparison of a window's recorded blocks with the present files. */
export interface BlockCheck {
  readonly checked: number;
  /** The number of files that were read, because their stat fields differed from the record. */
  readonly hashed: number;
  readonly damaged: readonly string[];
  /** Other bytes than recorded here, but those that another window has recorded since: its thaw computed the block again. */
  readonly recomputed: readonly string[];
  readonly missing: readonly string[];
  /** The number of whole blocks from the first one on, without a gap. */
  readonly wholeAtStart: number;
  /** Where the first block begins whose file no record names, in tokens: nothing is known of it. Absent where there is none. */
  readonly unrecordedFrom?: number;
  /** The records as of now, for the blocks that are whole, recomputed ones among them. */
  readonly whole: readonly BlockRecord[];
}

/**
 * Checks recorded blocks as git checks its index: equal stat fields mean unchanged content, anything else is read and
 * hashed. `readAll` trusts no stat field, as a verification requires.
 */
export async function checkBlocks(
  engine: Engine,
  located: readonly LocatedBlock[],
  records: readonly BlockRecord[],
  options: { readonly readAll: boolean; readonly checksumsOfOthers: ChecksumsOfOthers },
  signal: AbortSignal,
): Promise<BlockCheck> {
  const statByHash = new Map(located.map((block) => [block.hash, block.stat]));
  const missing: string[] = [];
  const whole: BlockRecord[] = [];
  const suspects: BlockRecord[] = [];
  for (const record of records) {
    const stat = statByHash.get(record.hash);
    if (!stat) missing.push(record.hash);
    else if (!options.readAll && isSameFile(stat, record)) whole.push(record);
    else suspects.push({ ...record, ...stat });
  }
  const checksums = await engine.checksum(
    suspects.map((record) => record.hash),
    signal,
  );
  const differing: BlockRecord[] = [];
  suspects.forEach((record, index) => {
    const checksum = checksums[index] ?? null;
    if (checksum === null) missing.push(record.hash);
    else if (checksum === record.checksum) whole.push(record);
    else differing.push({ ...record, checksum });
  });
  const hashes = differing.map((record) => record.hash);
  const others = hashes.length > 0 ? await options.checksumsOfOthers(hashes) : new Map<string, readonly string[]>();
  const recomputed = differing.filter(({ hash, checksum }) => others.get(hash)?.includes(checksum));
  const damaged = differing.filter((record) => !recomputed.includes(record));
  const notWhole = new Set([...missing, ...damaged.map((record) => record.hash)]);
  const gap = records.findIndex((record) => notWhole.has(record.hash));
  return {
    checked: records.length,
    hashed: suspects.length,
    damaged: damaged.map((record) => record.hash),
    recomputed: recomputed.map((record) => record.hash),
    missing,
    wholeAtStart: gap < 0 ? records.length : gap,
    whole: [...whole, ...recomputed],
  };
}

/**
 * Records every block that exists now, asking only for those whose stat fields are not already `known`. The record has what the engine
 * wrote, where it says that: damage since then is no part of the record, and shows later. A full disk or a crash can leave an empty file:
 * it counts as no block (EC-014).
 */
export async function recordBlocks(
  engine: Engine,
  located: readonly LocatedBlock[],
  known: readonly BlockRecord[],
  signal: AbortSignal,
): Promise<BlockRecord[]> {
  const knownByHash = new Map(known.map((record) => [record.hash, record]));
  const present = located.flatMap(({ hash, stat }) => (stat && stat.sizeBytes > 0 ? [{ hash, stat }] : []));
  const unknown = present.filter(({ hash, stat }) => {
    const record = knownByHash.get(hash);
    return !record || !isSameFile(stat, record);
  });
  const checksums = await engine.checksum(
    unknown.map((block) => block.hash),
    signal,
    true,
  );
  const checksumByHash = new Map(unknown.map((block, index) => [block.hash, checksums[index] ?? null]));
  return present.flatMap(({ hash, stat }) => {
    const checksum = checksumByHash.has(hash) ? checksumByHash.get(hash) : knownByHash.get(hash)?.checksum;
    return checksum ? [{ hash, checksum, ...stat }] : [];
  });
}

/** How many of these files were read to record them: those that `known` does not have as they are. */
export function countRead(blocks: readonly BlockRecord[], known: readonly BlockRecord[]): number {
  const knownByHash = new Map(known.map((record) => [record.hash, record]));
  return blocks.filter((block) => {
    const record = knownByHash.get(block.hash);
    return !record || !isSameFile(block, record);
  }).length;
}

/** Bytes of the blocks in `after` that were not there, or were other files, in `before`. */
export function bytesWritten(before: BlockLocation, after: BlockLocation): number | null {
  if (!before.reachable || !after.reachable) return null;
  const statBefore = new Map(before.blocks.map((block) => [block.hash, block.stat]));
  return after.blocks.reduce((sum, { hash, stat }) => {
    const earlier = statBefore.get(hash);
    if (!stat) return sum;
    const ownBytes = earlier && isSameFile(earlier, stat) ? 0 : stat.sizeBytes;
    return sum + ownBytes + Math.max(0, (stat.besideBytes ?? 0) - (earlier?.besideBytes ?? 0));
  }, 0);
}

/** Of the files of these blocks, those beside them included. */
export const totalBytes = (blocks: readonly Pick<FileStat, 'sizeBytes' | 'besideBytes'>[]): number =>
  blocks.reduce((sum, { sizeBytes, besideBytes = 0 }) => sum + sizeBytes + besideBytes, 0);

type FileStat = NonNullable<LocatedBlock['stat']>;

export const isSameFile = (a: FileStat, b: FileStat): boolean =>
  a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.inode === b.inode;
