import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import type { Plain } from './plain.ts';

/** A thaw that was proven. */
export const aReceipt = (changes: Plain<Partial<Receipt>> = {}): Receipt =>
  ({
    operation: 'thaw',
    session: 'session-1',
    window: 'auth-refactor-1',
    verdict: 'proven',
    tier: 'disk',
    tokens: 8192,
    promptTokens: 8192,
    cachedTokens: 8176,
    floorTokens: 8176,
    blockTokens: 16,
    cachedTokensFrom: 'usage',
    content: {
      checksums: 'agreed',
      canary: 'agreed',
      blocksChecked: 511,
      blocksHashed: 0,
      blocksDamaged: 0,
      blocksMissing: 0,
      canaryDifference: 0,
      canaryNoise: 0,
      why: null,
    },
    repair: 'none',
    kvBytes: 12_600_000,
    kvBytesWritten: 0,
    timeToFirstTokenMs: 46.2,
    ms: 120,
    expectedPrefillMs: 4200,
    engine: { kind: 'embedded', version: '0.1.0', model: 'tiny' },
    serverIdle: true,
    counters: { 'vllm:prompt_tokens_by_source_total{source="local_cache_hit"}': 8176 },
    summary: '8,176 of 8,192 tokens were reused from disk.',
    notes: [],
    at: '2026-11-20T10:00:00.000Z',
    ...changes,
  }) as Receipt;
