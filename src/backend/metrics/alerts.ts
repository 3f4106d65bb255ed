import type { RouteOutput } from '../../protocol/api.ts';

type Alert = RouteOutput<'metrics'>['alerts'][number];

export const levelNumbers = { ok: 0, warning: 1, critical: 2 } as const;

export interface AlertFacts {
  readonly usedBytes: number | null;
  /** Null: there is no limit, or it is not known. */
  readonly quotaBytes: number | null;
  readonly running: number;
  readonly limit: number;
  readonly edgeCasesPerMinute: number;
  /** Damaged records that operations met. */
  readonly corrupted: number;
}

/** What needs a look, and how urgently (S0-81). A value is null, and so is its level, where it is not known. */
export function alertsOf(facts: AlertFacts): Alert[] {
  const { usedBytes, quotaBytes, running, limit, edgeCasesPerMinute, corrupted } = facts;
  const storage = usedBytes === null || quotaBytes === null ? null : (usedBytes / quotaBytes) * 100;
  return [
    alert('storage', 'percent of the storage quota', storage, 80, 95),
    alert('concurrency', 'percent of the operations that may run at once', (running / limit) * 100, 50, 90),
    alert('edge-cases', 'failures a minute that neither a caller nor a setting caused', edgeCasesPerMinute, 1, 10),
    // One is enough.
    alert('corruption', 'damaged records since the backend started', corrupted, 1, 1),
  ];
}

function alert(name: string, what: string, value: number | null, warningAt: number, criticalAt: number): Alert {
  const level = value === null ? null : value >= criticalAt ? 'critical' : value >= warningAt ? 'warning' : 'ok';
  return { name, what, value, level, warningAt, criticalAt };
}
