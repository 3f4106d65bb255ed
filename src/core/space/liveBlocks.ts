import { blockHashChain } from '../../base/kvBlockHash.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import { nullOn } from '../../protocol/errors.ts';
import { isOpen } from '../lifecycle.ts';
import { saltOf } from '../lineage.ts';
import type { Store } from '../ports/store.ts';
import { sessionTokens } from '../sessionTokens.ts';

/** How the blocks of a lineage are named, by what was recorded of one of its windows. */
export type BlockNaming = Pick<KvRecord, 'hashProfile' | 'blockTokens'>;

/**
 * The blocks that sessions of these lineages work on while they go on. Worked out from their token ids: no engine is asked.
 *
 * @param namings of each lineage, those that its windows were recorded with.
 */
export async function blocksOfLiveSessions(
  store: Store,
  namings: ReadonlyMap<string, readonly BlockNaming[]>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const blocks = new Set<string>();
  for (const id of await store.sessionIds()) {
    signal.throwIfAborted();
    const found = await sessionTokens(store, id, (session) => isOpen(session) && namings.has(session.lineage));
    if (!found) continue;
    const { session, ids } = found;
    const lineage = await nullOn(store.getLineage(session.lineage), 'Corrupted');
    if (!lineage) continue;
    const salt = saltOf(lineage);
    for (const { hashProfile, blockTokens } of namings.get(session.lineage) ?? []) {
      if (!hashProfile || !blockTokens) continue;
      for (const hash of blockHashChain(hashProfile, ids, blockTokens, salt)) blocks.add(hash);
    }
  }
  return blocks;
}
