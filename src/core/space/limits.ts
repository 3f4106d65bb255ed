import { backendSettings } from '../../protocol/settings/backendSettings.ts';

/** Above `soft` the receipt has a note; above `hard` the operation is refused. */
export interface CountLimit {
  readonly soft: number;
  readonly hard: number;
}

export interface SpaceLimits {
  /** For the KV of the embedded engine; null is no limit. */
  readonly kvBudgetBytes: number | null;
  /** That budget is one of all engines, as far as their files are reached: files in folders of other programs are only deleted where a user chose it. */
  readonly isBudgetOfAllEngines: boolean;
  /** For everything below the storage directory; null is no limit. */
  readonly storageQuotaBytes: number | null;
  readonly sessions: CountLimit;
  readonly windows: CountLimit;
  /** Days without use after which a session goes to the trash; 0: never. */
  readonly retentionDays: number;
  /** Blocks of no window that were written less than this long ago are left alone: an operation may be about to name them. */
  readonly graceMs: number;
}

/** N15, S0-50. */
export const defaultLimits: SpaceLimits = {
  kvBudgetBytes: backendSettings.kvBudgetGb.default * 1e9,
  isBudgetOfAllEngines: false,
  storageQuotaBytes: backendSettings.storageQuotaGb.default * 1e9,
  sessions: { soft: 100, hard: 1000 },
  windows: { soft: 1000, hard: 10_000 },
  retentionDays: backendSettings.retentionDays.default,
  graceMs: 10 * 60 * 1000,
};
