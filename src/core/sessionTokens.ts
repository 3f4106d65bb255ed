import { isCwmError } from '../protocol/errors.ts';
import type { SessionId } from '../protocol/ids.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { Store } from './ports/store.ts';

/** A session, and the token ids that it names. */
export interface SessionTokens {
  readonly session: Session;
  readonly ids: readonly number[];
}

/**
 * For whoever does not keep the session from going on: a turn that ends in between replaces the token ids.
 * @returns null when it is gone, not wanted, has none, or they or its record are damaged: then nobody goes on with them either.
 */
export async function sessionTokens(
  store: Store,
  id: SessionId,
  isWanted: (session: Session) => boolean,
): Promise<SessionTokens | null> {
  for (let before: string | null = null; ;) {
    const session = await nullIfLost(() => store.getSession(id));
    if (!session?.tokens || session.tokens.sha256 === before || !isWanted(session)) return null;
    const { sha256 } = session.tokens;
    const ids = await nullIfLost(() => store.loadTokens(id, sha256));
    if (ids) return { session, ids };
    before = sha256;
  }
}

/** Null also for what is gone or damaged: of no use to whoever would go on with it. */
export async function nullIfLost<T>(read: () => Promise<T | null>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (isCwmError(error, 'Corrupted', 'SessionNotFound')) return null;
    throw error;
  }
}
