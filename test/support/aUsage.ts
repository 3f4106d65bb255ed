import type { TokenUsage, Usage } from '../../src/protocol/schemas/space.ts';

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

const ofQwen = {
  requests: 3,
  uncounted: 0,
  promptTokens: 3_000,
  cachedTokens: 2_400,
  computedTokens: 600,
  untoldTokens: 0,
  outputTokens: 150,
  cost: 0.0042,
};
const nothingKnown = { promptTokens: null, cachedTokens: null, computedTokens: null, outputTokens: null, cost: null };

/** A model with a price, and one whose server counts nothing. */
export const aTokenUsage = (changes: Partial<TokenUsage> = {}): TokenUsage => ({
  by: 'model',
  currency: 'EUR',
  total: { ...ofQwen, requests: 4, uncounted: 1, cost: null },
  items: [
    { name: 'qwen', ...ofQwen },
    { name: 'mute', ...ofQwen, ...nothingKnown, requests: 1, uncounted: 1 },
  ],
  count: 2,
  hasMore: false,
  firstDay: '2026-11-20',
  unpriced: ['mute'],
  pricesFile: '/store/prices.json',
  notes: [],
  ...changes,
});
