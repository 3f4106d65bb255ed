import { blockHashChain } from '../../base/kvBlockHash.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import { nullOn } from '../../protocol/errors.ts';
import { isOpen } from '../lifecycle.ts';
import { familyOf, saltOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';
import { sessionTokens } from '../sessionTokens.ts';

/** How the blocks of a lineage are named, as one of its windows recorded it. */
export type BlockNaming = Pick<KvRecord, 'hashProfile' | 'blockTokens'>;

/**
 * The blocks that the open sessions of these lineages use. Computed from their token ids, without asking an engine.
 *
 * @param namings for each family of lineages, the namings that its windows recorded.
 */
export async function blocksOfLiveSessions(
  store: Store,
  namings: ReadonlyMap<string, readonly BlockNaming[]>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const blocks = new Set<string>();
  for (const id of await store.sessions.ids()) {
    signal.throwIfAborted();
    const found = await sessionTokens(
      store,
      id,
      (session) => isOpen(session) && namings.has(familyOf(session.lineage)),
    );
    if (!found) continue;
    const { session, ids } = found;
    const lineage = await nullOn(store.lineages.get(session.lineage), 'Corrupted');
    if (!lineage) continue;
    const salt = saltOf(lineage);
    for (const { hashProfile, blockTokens } of namings.get(familyOf(session.lineage)) ?? []) {
      if (!hashProfile || !blockTokens) continue;
      for (const hash of blockHashChain(hashProfile, ids, blockTokens, salt)) blocks.add(hash);
    }
  }
  return blocks;
}
