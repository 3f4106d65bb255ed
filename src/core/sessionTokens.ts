import { nullOn } from '../protocol/errors.ts';
import type { SessionId } from '../protocol/ids.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { Store } from './ports/store.ts';

/** A session, and the token ids that it names. */
export interface SessionTokens {
  readonly session: Session;
  readonly ids: readonly number[];
}

/**
 * The caller does not hold the session's queue, so a turn may replace the token ids between the two reads: then both are read again.
 * @returns null when the session is gone, not wanted or has no token ids, or when they or its record are damaged: no turn can use them then.
 */
export async function sessionTokens(
  store: Store,
  id: SessionId,
  isWanted: (session: Session) => boolean,
): Promise<SessionTokens | null> {
  for (let before: string | null = null; ;) {
    const session = await nullOn(store.sessions.get(id), 'Corrupted', 'SessionNotFound');
    if (!session?.tokens || session.tokens.sha256 === before || !isWanted(session)) return null;
    const { sha256 } = session.tokens;
    const ids = await nullOn(store.sessions.loadTokens(id, sha256), 'Corrupted', 'SessionNotFound');
    if (ids) return { session, ids };
    before = sha256;
  }
}
