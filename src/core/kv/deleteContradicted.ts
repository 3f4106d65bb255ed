import type { LineageId } from '../../protocol/ids.ts';
import { checkBlocks } from '../evidence/blocks.ts';
import type { CoreContext } from '../context.ts';
import type { BlockLocation, Engine } from '../ports/engine.ts';
import { firstTokenOf, type DeletedBlock } from './damageInMemory.ts';

/** In a long conversation with a checkpoint after each turn, the newest windows record every block that can be compared. */
const newestWindows = 8;

/**
 * Deletes block files that differ from the record of every window of the lineage, so that the engine writes them again. A freeze that
 * accepted them would vouch for damage, and earlier windows would take the damage for KV that was computed again.
 *
 * @returns the deleted ones, as they were recorded.
 */
export async function deleteContradicted(
  { store }: Pick<CoreContext, 'store'>,
  engine: Engine,
  {
    lineage,
    located,
    tokens,
    blockTokens,
  }: {
    readonly lineage: LineageId;
    readonly located: BlockLocation;
    readonly tokens: number;
    readonly blockTokens: number | null;
  },
  signal: AbortSignal,
): Promise<DeletedBlock[]> {
  if (!located.reachable) return [];
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
  const recorded = await checksumsOfOthers(damaged);
  const files = { files: located.blocks.length, tokens, blockTokens };
  const indexOf = (hash: string): number => located.blocks.findIndex((block) => block.hash === hash);
  return damaged.map((hash) => ({
    hash,
    firstToken: firstTokenOf(indexOf(hash), files),
    checksums: recorded.get(hash) ?? [],
  }));
}
