import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import type { Session } from '../../src/protocol/schemas/session.ts';
import type { WindowSummary } from '../../src/protocol/schemas/window.ts';
import type { Plain } from '../support/plain.ts';
import { type State, initialState } from '../../src/vscode/state.ts';

const at = '2026-11-20T10:00:00.000Z';
/** Three minutes after everything below was made. */
export const now = new Date('2026-11-20T10:03:00.000Z');

export const aSession = (changes: Plain<Partial<Session>> = {}): Session =>
  ({
    id: 'session-1',
    title: 'auth-refactor',
    project: 'file:///home/me/project',
    engine: 'embedded',
    model: { id: 'tiny', root: null, maxModelLen: 32_000, fingerprint: null },
    lineage: 'lineage-1',
    lifecycle: 'active',
    phase: 'Idle',
    branches: {},
    activeBranch: 'main',
    tokens: { count: 8192, promptCount: 8190, sha256: 'x', source: 'engine', messageCount: 2 },
    draft: null,
    thawedFrom: null,
    frozenAs: null,
    prefixBreaks: 0,
    createdAt: at,
    updatedAt: at,
    version: 1,
    ...changes,
  }) as Session;

export const aWindow = (changes: Plain<Partial<WindowSummary>> = {}): WindowSummary =>
  ({
    name: 'auth-refactor-1',
    description: '',
    tags: [],
    session: 'session-1',
    mode: 'freeze',
    model: 'tiny',
    engine: 'embedded',
    project: 'file:///home/me/project',
    parentWindow: null,
    tokens: 8192,
    kvBytes: 12_600_000,
    pinned: false,
    createdAt: at,
    lastThaw: null,
    reuse: { thaws: 0, promptTokens: 0, cachedTokens: 0 },
    ...changes,
  }) as WindowSummary;

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
    at,
    ...changes,
  }) as Receipt;

export const aState = (changes: Partial<State> = {}): State => ({ ...initialState, ...changes });
