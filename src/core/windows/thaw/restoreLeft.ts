import type { KvRecord } from '../../../protocol/schemas/window.ts';
import type { CoreContext } from '../../context.ts';
import { uncheckedContent } from '../../evidence/contentChecks.ts';
import { isSameFile } from '../../evidence/blocks.ts';
import type { FrozenContext } from '../../evidence/frozenContext.ts';
import { saltOf } from '../../ports/lineages.ts';
import { engineFields, reuseFields, type Outcome } from '../receipts.ts';

/** Whether it is one file without a canary, of a server that is given the file. */
export const isDecidedByChecksum = ({ engineKind, canary, handle, blocks }: KvRecord): boolean =>
  engineKind === 'llama-server' && canary === null && handle !== null && blocks.length === 1;

/**
 * Brings back what a server had when it lost a conversation. There is no canary to compare, so nothing is asked about it, and the checksum of the file
 * decides: all of it is read, while the server reads it, too.
 *
 * @returns null where it is no such KV, or could not be brought back: what is there is then up to the inspection that follows.
 */
export async function restoreLeft(
  { store, warmings }: Pick<CoreContext, 'store' | 'warmings'>,
  { engine, description, manifest, ids, kv, slot, hold, progress }: FrozenContext,
  signal: AbortSignal,
): Promise<Outcome | null> {
  const [block] = kv.blocks;
  if (!block || !isDecidedByChecksum(kv)) return null;
  const lineage = await store.lineages.get(manifest.lineage);
  if (lineage.generation !== kv.saltGeneration || kv.unfinishedRepair !== undefined) return null;
  progress('Restoring');
  await hold([block.hash]);
  const context = { ids, salt: saltOf(lineage), handle: kv.handle, slot };
  const located = await engine.locate(context, signal);
  const stat = located.reachable ? located.blocks[0]?.stat : null;
  // The inspection reads a file that is not as it was, before the server does.
  if (!stat || !isSameFile(stat, block)) return null;
  let isDamaged = false;
  const read = async (): Promise<string | null> => (await engine.checksum([block.hash], signal))[0] ?? null;
  const isSound = async (): Promise<boolean> => {
    const checksum = await (warmings.ahead.checksums.take(block.hash) ?? read());
    isDamaged = checksum !== block.checksum;
    return !isDamaged;
  };
  const { outcome, notes } = await engine.restore(context, signal, isSound);
  if (isDamaged) await engine.forget({ hashes: [block.hash], handle: null }, signal);
  if (outcome !== 'restored') return null;
  return {
    verdict: 'unobserved',
    tier: 'disk',
    tokens: ids.length,
    ...reuseFields(null, description.blockTokens),
    content: { ...uncheckedContent(noCanary), checksums: 'agreed', blocksChecked: 1, blocksHashed: 1 },
    repair: 'none',
    kvBytes: kv.kvBytes,
    kvBytesWritten: 0,
    engine: engineFields(description),
    notes: [...notes, ...description.notices],
  };
}

const noCanary = 'It was saved as the server had it, without a canary.';
