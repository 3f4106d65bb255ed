import { blockHashChain, type BlockHashProfile } from '../../src/base/kvBlockHash.ts';
import type { FakeExampleConnector } from './fakeExampleConnector.ts';
import type { FakeBlockEvents } from './fakeBlockEvents.ts';
import type { FakeBlockPool } from './fakeBlockPool.ts';
import type { FakeCounters } from './fakeCounters.ts';
import type { FakeFaults } from './fakeFaults.ts';
import type { FakeFsTier } from './fakeFsTier.ts';
import {
  attend,
  blockBytes,
  computeBlock,
  imEnd,
  nextToken,
  startState,
  tokenizeText,
  type ModelState,
  type NextToken,
} from './fakeModel.ts';

/** Whole blocks of the share that a lying server claims, never the last token. */
export const claimedTokens = (
  { claimedShare }: Pick<FakeFaults, 'claimedShare'>,
  promptTokens: number,
  blockTokens: number,
): number => Math.floor(Math.min(promptTokens - 1, claimedShare * promptTokens) / blockTokens) * blockTokens;

export interface FakeScheduling {
  readonly faults: FakeFaults;
  readonly blockTokens: number;
  readonly profile: BlockHashProfile;
  readonly pool: FakeBlockPool;
  readonly events: FakeBlockEvents;
  readonly tier: FakeFsTier | null;
  readonly counters: FakeCounters;
  readonly example: FakeExampleConnector;
  /** Every request adds to it. */
  readonly served: FakeServed[];
}

/** What is true of one request. */
export interface FakeServed {
  readonly promptIds: readonly number[];
  readonly reusedTokens: number;
  /** Whether the reused blocks hold what the weights of then make of these tokens. */
  isReusedRight(): boolean;
}

export interface FakeOutcome {
  readonly tokens: readonly NextToken[];
  readonly cachedTokens: number;
}

export interface FakeBlock {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/**
 * Runs one request: reuses the longest run of blocks from the device, then from the tier, computes the rest, and keeps
 * all. The last token is always computed, so at most `floor((N − 1) / B)` blocks are reused.
 */
export function runRequest(
  engine: FakeScheduling,
  ids: readonly number[],
  salt: string | null,
  maxTokens: number,
  maxOffloadTokens: number | null = null,
): FakeOutcome {
  const { faults, blockTokens, pool, tier, counters } = engine;
  tier?.step();
  const name = (sequence: readonly number[]): string[] =>
    blockHashChain(engine.profile, sequence, blockTokens, faults.saltIgnored ? null : salt);
  const hashes = name(ids);
  const reusable = faults.prefixCaching ? Math.floor((ids.length - 1) / blockTokens) : 0;

  const prompt: FakeBlock[] = [];
  const loaded: string[] = [];
  const sources = { device: 0, disk: 0 };
  for (const hash of hashes.slice(0, reusable)) {
    const onDevice = pool.get(hash);
    const bytes = onDevice ?? loadFromTier(engine, hash);
    if (!bytes) break;
    prompt.push({ hash, bytes });
    if (!onDevice) loaded.push(hash);
    sources[onDevice ? 'device' : 'disk'] += blockTokens;
  }
  for (const block of faults.connector === 'ExampleConnector' ? engine.example.find(ids).slice(prompt.length) : []) {
    prompt.push(block);
    sources.disk += blockTokens;
  }
  const cachedTokens = prompt.length * blockTokens;

  if (faults.prefixCaching) engine.events.ran({ hashes, reused: prompt.length, loaded, ids, blockTokens, salt });
  let state: ModelState | null = startState(faults.weights);
  for (const { bytes } of prompt) state = attend(state, bytes);
  const grow = (sequence: readonly number[], names: readonly string[], into: FakeBlock[]): void => {
    for (const hash of names.slice(into.length)) {
      const at = into.length * blockTokens;
      const bytes = computeBlock(faults.weights, state, sequence.slice(at, at + blockTokens));
      into.push({ hash, bytes });
      state = attend(state, bytes);
    }
  };
  grow(ids, hashes, prompt);
  const inFirstNewBlock = Math.min(blockTokens, ids.length - cachedTokens);
  if (inFirstNewBlock < pool.staleNoiseTokens) state = null;
  else pool.staleNoiseTokens = state === null ? ids.length % blockTokens : 0;

  const noise = prompt.length > 0 && cachedTokens < reusable * blockTokens ? 1 + cachedTokens : 0;
  const sequence = [...ids];
  const kept = [...prompt];
  const tokens: NextToken[] = [];
  const script = faults.answer === null ? [] : [...tokenizeText(faults.answer), imEnd];
  while (tokens.length < maxTokens && tokens.at(-1)?.id !== imEnd) {
    const free = nextToken(faults.weights, state, sequence.slice(kept.length * blockTokens), noise);
    const token = { ...free, id: script[tokens.length] ?? free.id };
    tokens.push(token);
    sequence.push(token.id);
    // The last token's KV is never computed.
    if (tokens.length < maxTokens && sequence.length % blockTokens === 0) grow(sequence, name(sequence), kept);
  }

  const reused = prompt.slice(0, cachedTokens / blockTokens);
  const { weights } = faults;
  engine.served.push({
    promptIds: [...ids],
    reusedTokens: cachedTokens,
    isReusedRight: () => isRight(weights, ids, reused, blockTokens),
  });
  pool.keep(kept);
  engine.example.keep(ids, prompt);
  const offloaded =
    maxOffloadTokens === null || faults.ignoresMaxOffload
      ? prompt
      : prompt.slice(0, Math.floor(maxOffloadTokens / blockTokens));
  if (tier && faults.tier !== 'writes-nothing') {
    tier.store(offloaded);
    engine.events.offloaded(offloaded.slice(reused.length).map(({ hash }) => hash));
  }
  if (faults.evictsAfterEachRequest) pool.clear();
  const claimed = { device: claimedTokens(faults, ids.length, blockTokens), disk: 0 };
  counters.request(ids.length, faults.countsClaims ? claimed : sources, tokens.length);
  if (tier !== null || faults.connector !== null) counters.lookUp(ids.length - sources.device);
  if (faults.inflatedPrefixCounters) counters.add('vllm:prefix_cache_hits_total{engine="0"}', 30 * ids.length);
  if (faults.otherTraffic) counters.request(100, { device: 64, disk: 0 }, 10);
  return { tokens, cachedTokens };
}

function isRight(weights: string, ids: readonly number[], blocks: readonly FakeBlock[], blockTokens: number): boolean {
  let state: ModelState | null = startState(weights);
  return blocks.every(({ bytes }, index) => {
    const right = computeBlock(weights, state, ids.slice(index * blockTokens, (index + 1) * blockTokens));
    state = attend(state, right);
    return right.equals(bytes);
  });
}

function loadFromTier({ tier, faults }: FakeScheduling, hash: string): Uint8Array | undefined {
  if (faults.tier === 'loads-nothing') return undefined;
  const bytes = tier?.load(hash);
  return bytes && faults.tier === 'claims-only' ? Buffer.alloc(blockBytes) : bytes;
}
