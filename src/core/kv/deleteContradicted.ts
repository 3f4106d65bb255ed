import type { LineageId } from '../../protocol/ids.ts';
import { checkBlocks } from '../evidence/blocks.ts';
import type { CoreContext } from '../context.ts';
import type { BlockLocation, Engine } from '../ports/engine.ts';

/** Of a long conversation with a checkpoint after each turn, the newest ones have recorded all there is to hold blocks against. */
const newestWindows = 8;

/**
 * Deletes block files that are not what any window of the lineage has recorded, so that the engine makes them anew. A freeze that took
 * them as they are would vouch for damage, and earlier windows would take it for KV that was computed again.
 *
 * @returns how many.
 */
export async function deleteContradicted(
  { store }: Pick<CoreContext, 'store'>,
  engine: Engine,
  { lineage, located }: { readonly lineage: LineageId; readonly located: BlockLocation },
  signal: AbortSignal,
): Promise<number> {
  if (!located.reachable) return 0;
  const present = located.blocks.filter(({ stat }) => stat !== null).map(({ hash }) => hash);
  const known = await store.blocks.recordsOfLineage(lineage, present, newestWindows);
  const newest = [...known.values()].flatMap(([record]) => record ?? []);
  const checksumsOfOthers = async (hashes: readonly string[]): Promise<Map<string, string[]>> => {
    const all = await store.blocks.recordsOfLineage(lineage, hashes);
    return new Map([...all].map(([hash, records]) => [hash, records.map(({ checksum }) => checksum)]));
  };
  const options = { readAll: false, checksumsOfOthers };
  const { damaged } = await checkBlocks(engine, located.blocks, newest, options, signal);
  if (damaged.length > 0) await engine.forget({ hashes: damaged, handle: null }, signal);
  return damaged.length;
}
