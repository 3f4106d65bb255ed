import type { StateStore } from '../../core/ports/states.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Access } from '../disk/storageError.ts';

/**
 * The states, as a part of the open store.
 *
 * @param run refuses an operation that the whole store refuses; closing the store waits for the operations it runs.
 * @param onSession is called with the id of a session whose record was replaced.
 */
export function guardedStates(
  states: StateStore,
  run: <T>(access: Access, operation: () => Promise<T>) => Promise<T>,
  onSession: (id: SessionId) => void,
): StateStore {
  return {
    load: (id) => run('read', () => states.load(id)),
    save: (id, next, fromVersion) => run('write', () => states.save(id, next, fromVersion)),
    recoveryPoints: (id) => run('read', () => states.recoveryPoints(id)),
    addRecoveryPoint: (point, spared) => run('write', () => states.addRecoveryPoint(point, spared)),
    checkRecoveryPoint: (point) => run('read', () => states.checkRecoveryPoint(point)),
    restore: (session, state, fromVersion) =>
      run('write', () => states.restore(session, state, fromVersion).finally(() => onSession(session.id))),
    activeSessions: () => run('read', () => states.activeSessions()),
    setActiveSessions: (ids) => run('write', () => states.setActiveSessions(ids)),
  };
}
