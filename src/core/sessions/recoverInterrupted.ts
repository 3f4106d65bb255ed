import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { recoverTurn } from '../turns/cutAnswer.ts';
import { isAtRest, isPaused, settled } from '../turns/machine.ts';

/**
 * Recovery after a crash: a session that was in the middle of a turn becomes idle, with what came of its answer, or else with its draft
 * (S4-12). Called once, before anything else. @returns the ids of those sessions.
 */
export async function recoverInterrupted(core: CoreContext): Promise<SessionId[]> {
  const recovered: SessionId[] = [];
  for (const session of await interruptedSessions(core)) {
    try {
      await recoverOne(core, session);
      recovered.push(session.id);
    } catch (error) {
      // Its next turn recovers it. A backend that refused to start on a full disk could not free space.
      if (!isCwmError(error, 'StorageFull')) throw error;
    }
  }
  // Not before all of them are read.
  for (const id of recovered) await core.store.answers.ended(id);
  return recovered;
}

async function interruptedSessions(core: CoreContext): Promise<Session[]> {
  const interrupted: Session[] = [];
  for (let offset = 0; ; offset += 100) {
    const { items, total } = await core.store.sessions.list({ limit: 100, offset });
    interrupted.push(...items.filter((session) => !isAtRest(session) && !isPaused(session)));
    if (offset + items.length >= total || items.length === 0) return interrupted;
  }
}

async function recoverOne(core: CoreContext, session: Session): Promise<void> {
  const ended = await recoverTurn(core, session).catch((error: unknown) => {
    // An answer that cannot be taken from the log costs no start.
    if (!(error instanceof CwmError) || error.name === 'StorageFull') throw error;
    return settled(session);
  });
  if (ended.version === session.version) {
    await core.store.sessions.update({ ...ended, version: session.version + 1 });
  }
}
