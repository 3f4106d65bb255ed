import type { AuditFact, AuditPoint, AuditReport } from '../../protocol/schemas/audit.ts';
import type { AuditLog } from '../audit/auditLog.ts';
import type { StoreGuard } from './storeGuard.ts';

/** The audit log of the open store. */
export interface AuditTrail {
  /** Adds entries. Never rejects ({@link AuditLog.append}); does nothing for a store that is read-only or closed. */
  record(facts: readonly AuditFact[]): Promise<void>;
  /** Notes how the backend is set up, unless the log says so already. Does nothing for a read-only store. */
  recordSettings(settings: NonNullable<AuditFact['settings']>): Promise<void>;
  /** Checks the whole log. @param known an entry that was written down elsewhere. */
  verify(signal: AbortSignal, known?: AuditPoint | null): Promise<AuditReport>;
}

export function auditTrail(log: AuditLog, guard: StoreGuard): AuditTrail {
  const isReadOnly = guard.readOnlyWhy !== null;
  return {
    async record(facts) {
      if (!guard.isClosed && !isReadOnly) await guard.run('write', () => log.append(facts));
    },
    async recordSettings(settings) {
      if (!isReadOnly) await guard.run('write', () => log.recordSettings(settings));
    },
    verify: (signal, known = null) => guard.run('read', () => log.verify(signal, known)),
  };
}
