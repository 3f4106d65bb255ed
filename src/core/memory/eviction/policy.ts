import type { MemoryPage } from '../../../protocol/memory/page.ts';

/** A page that may leave the prompt. */
export interface Candidate {
  readonly page: MemoryPage;
  readonly tokens: number;
  /** 0: the oldest message of the conversation's prompt, 1: the newest. */
  readonly position: number;
  /** How often it came back soon after it had left, lately: 0 never, 1 often. */
  readonly thrash: number;
}

/** What a policy knows of the prompt that is too full. All figures are tokens, but for those that say otherwise. */
export interface Pressure {
  /** Of the request's messages. */
  readonly used: number;
  /** With more, pages leave; and at most this many are left then. */
  readonly evictAt: number;
  readonly target: number;
  /** Place of the conversation's last message. */
  readonly sequence: number;
  /** Share of the prompt tokens of the last answers that the model server reused, 0 to 1; null: it never said. */
  readonly reused: number | null;
  /**
   * Tokens in front of what leaves that the server computed again, as measured when messages left lately: most servers reuse them, and
   * a cache that cannot be cut, as that of a sliding window, loses them. 0: none, or nobody measured it.
   */
  readonly lostInFront: number;
}

/**
 * Decides which pages leave. What leaves does so from the beginning of the prompt and in one batch, since all that stands behind the first
 * change is computed again; a policy says how large the batch is, and which of its pages stay in the summary that takes its place. Pinned and
 * protected pages are no candidates.
 */
export interface EvictionPolicy {
  /** As settings name it. */
  readonly name: string;
  /** How much a page is worth to the next prompts; the lowest leaves first. Only the order counts. */
  score(candidate: Candidate, pressure: Pressure): number;
  /** Tokens that stay behind the batch, at least. Default: as many as the target lets stay. */
  keptTokens?(pressure: Pressure): number;
  /** Share of what leaves that may stay in the summary, whole or shortened, best first; 0 to 1. Default 0.25. */
  readonly heldShare?: number;
}
