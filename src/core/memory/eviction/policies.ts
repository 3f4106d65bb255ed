import type { Modality } from '../../../protocol/memory/page.ts';
import type { EvictionPolicyName } from '../../../protocol/settings/sessionChoices.ts';
import type { Candidate, EvictionPolicy, Pressure } from './policy.ts';

type BuiltIn = EvictionPolicy & { readonly name: EvictionPolicyName };

/**
 * Share of `evictAt` that may be computed again with a batch: the newest messages, which stay behind it, and what the server loses in front of
 * it. So four tokens leave for each that is computed. The newest messages keep a tenth at least, whatever the server loses.
 */
const computedShare = 0.2;
const leastKeptShare = 0.1;
/** A server that reuses less has no prefix that would be worth larger batches. */
const leastReuse = 0.1;

/** How lately a page was used, 0 to 1. */
const recency = ({ page }: Candidate, { sequence }: Pressure): number => page.accessedAt / Math.max(1, sequence);

/**
 * The oldest leave, and nothing of them is held: what stays in a summary is sent with every later prompt, and an index and two tools bring it
 * back. A batch is large where the server reuses prefixes, the larger the more each one costs there, and small where it reuses none.
 */
const kvAware: BuiltIn = {
  name: 'kv-aware',
  score: ({ position }) => position,
  keptTokens: ({ evictAt, target, reused, lostInFront }) =>
    reused !== null && reused < leastReuse
      ? target
      : Math.max(evictAt * leastKeptShare, evictAt * computedShare - lostInFront),
  heldShare: 0,
};

const importanceWeightedLru: BuiltIn = {
  name: 'importance-weighted-lru',
  score: ({ position, page, thrash }) => 0.4 * position + 0.4 * page.importance + 0.2 * thrash,
};

const lru: BuiltIn = { name: 'lru', score: recency };

/** What a modality costs beside what it says. */
const modalityWeights: Readonly<Record<Modality, number>> = {
  text: 1,
  structured: 0.9,
  image: 0.5,
  audio: 0.4,
  video: 0.3,
};

const modalityAwareLru: BuiltIn = {
  name: 'modality-aware-lru',
  score: (candidate, pressure) => modalityWeights[candidate.page.modality] * recency(candidate, pressure),
};

/** The policies that come with the product (S1-45); the first is the default. */
export const builtInPolicies = [kvAware, importanceWeightedLru, lru, modalityAwareLru] as const;
