import type { Usage } from '../../src/protocol/schemas/space.ts';

/** Two windows, on a disk without a quota. */
export const aUsage = (changes: Partial<Usage> = {}): Usage => ({
  kv: {
    bytes: 15_000_000,
    windowBytes: 12_600_000,
    pinnedBytes: 0,
    looseBytes: 2_400_000,
    budgetBytes: 50e9,
    elsewhereBytes: 0,
  },
  recordBytes: 80_000,
  trashBytes: 0,
  quarantineBytes: 0,
  otherBytes: 1_000_000,
  totalBytes: 16_080_000,
  quotaBytes: null,
  freeBytes: null,
  sessions: { count: 3, soft: 100, hard: 1000 },
  windows: { count: 2, soft: 1000, hard: 10_000 },
  reuse: { thaws: 2, promptTokens: 16_384, cachedTokens: 16_352 },
  items: [],
  ...changes,
});
