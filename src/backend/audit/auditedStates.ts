import type { StateStore } from '../../core/ports/states.ts';
import type { AuditFact } from '../../protocol/schemas/audit.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { currentClient } from '../requestScope.ts';

/** The states, with an entry in the audit log for every change: the session, the version before and the version after (S3-10). */
export function auditedStates(states: StateStore, record: (facts: readonly AuditFact[]) => Promise<void>): StateStore {
  const tell = (event: 'STATE_UPDATE' | 'STATE_RESTORE', session: string, from: number | null, to: number) =>
    record([
      {
        event,
        outcome: 'ok',
        client: currentClient(),
        session,
        ...(from !== null && { from: String(from) }),
        to: String(to),
      },
    ]);
  return {
    load: (id) => states.load(id),
    recoveryPoints: (id) => states.recoveryPoints(id),
    addRecoveryPoint: (point, spared) => states.addRecoveryPoint(point, spared),
    checkRecoveryPoint: (point) => states.checkRecoveryPoint(point),
    activeSessions: () => states.activeSessions(),
    setActiveSessions: (ids) => states.setActiveSessions(ids),
    async save(id: SessionId, next, fromVersion) {
      await states.save(id, next, fromVersion);
      if (next.version !== fromVersion) await tell('STATE_UPDATE', id, fromVersion, next.version);
    },
    async restore(session, state, fromVersion) {
      await states.restore(session, state, fromVersion);
      await tell('STATE_RESTORE', session.id, fromVersion, state?.version ?? fromVersion ?? 0);
    },
  };
}
