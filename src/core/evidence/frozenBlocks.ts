import type { BlockRecord } from '../../protocol/schemas/window.ts';
import { checkBlocks, type BlockCheck } from './blocks.ts';
import type { KvContext, LocatedBlock } from '../ports/engine.ts';
import { hashesOf } from '../space/blocksInUse.ts';
import type { FrozenContext } from './frozenContext.ts';

/** Checks the recorded blocks; bad ones are deleted, so that the engine computes from there. Null when they cannot be read. */
export async function checkAndCleanBlocks(
  { engine, description, kv, record }: FrozenContext,
  context: KvContext & { readonly isOfThisGeneration: boolean },
  signal: AbortSignal,
): Promise<BlockCheck | null> {
  if (kv.blocks.length === 0) return null;
  const location = await engine.locate(context, signal);
  if (!location.reachable) return null;
  const checksumsOfOthers = (hashes: readonly string[]) => record.checksumsOfOthers(hashes);
  const records = context.isOfThisGeneration
    ? kv.blocks
    : recordsFrom(hashesOf(location), await checksumsOfOthers(hashesOf(location)));
  if (records.length === 0) return null;
  const check = await checkBlocks(engine, location.blocks, records, { readAll: false, checksumsOfOthers }, signal);
  if (check.damaged.length > 0) await engine.forget({ hashes: check.damaged, handle: null }, signal);
  // It checks each file that it loads, and stores states besides that a record need not have.
  if (description.kind === 'embedded') return check;
  const unrecordedFrom = firstUnrecorded(location.blocks, records, context.ids.length);
  return unrecordedFrom === null ? check : { ...check, unrecordedFrom };
}

/** Of a block that was not stored yet when the window was recorded, and is now. */
function firstUnrecorded(
  located: readonly LocatedBlock[],
  records: readonly BlockRecord[],
  tokens: number,
): number | null {
  const recorded = new Set(records.map(({ hash }) => hash));
  const at = located.findIndex(({ hash, stat }) => stat !== null && !recorded.has(hash));
  return at < 0 ? null : at * Math.floor(tokens / located.length);
}

/**
 * Reads the files that were trusted by their stat fields: where no canary can be compared, stat fields are not enough. Missing files stay
 * excluded, since the engine may have written them again since.
 *
 * @returns the hashes of those that are not what was recorded.
 */
export async function findChanged(
  { engine, record }: FrozenContext,
  { check, ...context }: KvContext & { readonly check: BlockCheck },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const location = await engine.locate(context, signal);
  if (!location.reachable) return [];
  const checksumsOfOthers = (hashes: readonly string[]) => record.checksumsOfOthers(hashes);
  const options = { readAll: true, checksumsOfOthers };
  return (await checkBlocks(engine, location.blocks, check.whole, options, signal)).damaged;
}

export const withDamage = (check: BlockCheck, changed: readonly string[]): BlockCheck => ({
  ...check,
  damaged: [...check.damaged, ...changed],
  whole: check.whole.filter(({ hash }) => !changed.includes(hash)),
});

/**
 * After a repair for another window, what that one has recorded since stands in for this one's record, which names blocks that
 * nobody reaches any more. None where a block is missing from it.
 */
function recordsFrom(hashes: readonly string[], checksums: ReadonlyMap<string, readonly string[]>): BlockRecord[] {
  const neverSeen = { sizeBytes: 0, mtimeNs: '', ctimeNs: '', inode: '' };
  const records = hashes.flatMap((hash) => {
    const [checksum] = checksums.get(hash) ?? [];
    return checksum === undefined ? [] : [{ hash, checksum, ...neverSeen }];
  });
  return records.length === hashes.length ? records : [];
}
