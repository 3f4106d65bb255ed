/** A receipt as it comes over the wire, with words of any version. */
export const receiptOf = ({
  checksums,
  canary,
  ...words
}: Readonly<
  Record<'operation' | 'verdict' | 'tier' | 'cachedTokensFrom' | 'repair' | 'checksums' | 'canary', string>
>) => ({
  ...words,
  session: 's',
  window: 'w',
  tokens: 100,
  promptTokens: 100,
  cachedTokens: 99,
  floorTokens: 99,
  blockTokens: 1,
  content: {
    checksums,
    canary,
    blocksChecked: 1,
    blocksHashed: 0,
    blocksDamaged: 0,
    blocksMissing: 0,
    canaryDifference: null,
    canaryNoise: null,
    why: null,
  },
  kvBytes: null,
  kvBytesWritten: 0,
  timeToFirstTokenMs: null,
  ms: 10,
  expectedPrefillMs: null,
  engine: null,
  serverIdle: null,
  counters: {},
  summary: 'What it came to.',
  notes: [],
  at: '2026-01-01T00:00:00.000Z',
});
