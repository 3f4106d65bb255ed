import { blockHashChain } from '../../base/kvBlockHash.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { LineageId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/session.ts';
import type { KvRecord } from '../../protocol/window.ts';
import { saltOf } from '../lineage.ts';
import type { Store } from '../ports/store.ts';

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
    const session = await liveOrNull(() => store.getSession(id));
    const ways = session && namings.get(session.lineage);
    if (!session?.tokens || !ways) continue;
    const ids = await store.loadTokens(id, session.tokens.sha256);
    const salt = saltOf(await store.getLineage(session.lineage as LineageId));
    for (const { hashProfile, blockTokens } of ways) {
      if (!hashProfile || !blockTokens) continue;
      for (const hash of blockHashChain(hashProfile, ids, blockTokens, salt)) blocks.add(hash);
    }
  }
  return blocks;
}

async function liveOrNull(read: () => Promise<Session | null>): Promise<Session | null> {
  try {
    const session = await read();
    return session?.lifecycle === 'active' || session?.lifecycle === 'thawed' ? session : null;
  } catch (error) {
    // A session that can't be read can't go on either.
    if (error instanceof CwmError && error.code === 'CWM-4004') return null;
    throw error;
  }
}
