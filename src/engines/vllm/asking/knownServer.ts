import { farMs, type KvContext } from '../../../core/ports/engine.ts';
import type { Capabilities } from '../../../protocol/schemas/capabilities.ts';
import type { BlockStore } from '../blocks/blockStore.ts';
import type { CanaryAsker } from '../chat/canaryAsker.ts';
import type { Dialect } from '../dialect.ts';
import type { ServerIdentity } from '../serverIdentity.ts';

/** A server, and every fact that holds as long as the server is the same. */
export interface KnownServer {
  readonly identity: ServerIdentity;
  readonly blocks: BlockStore;
  /** Its latency for any answer, in milliseconds. */
  roundTripMs: number;
  readonly dialect: Dialect;
  readonly canaries: CanaryAsker;
  /** The result of a probe. */
  capabilities: Capabilities | null;
  /** Time of it, by the monotonic clock. */
  probedAtMs: number;
  /**
   * Whether its claims of reuse can be believed. Null until the server was tested, and again when that may have changed; false for good
   * once it claimed KV that it cannot have.
   */
  isBelieved: boolean | null;
  /** Whether its events name the blocks of a request that reused them; null until that was seen or tested. */
  announces: boolean | null;
  /** Time of the last test, by the monotonic clock. */
  askedAtMs: number;
  /** Its last counters. Lower ones belong to another server, or to one that makes its counters up; so do counters that jump. */
  countedTokens: number;
}

/** Whether its latency is so high that no round trip may be wasted. */
export const isFar = (server: KnownServer | null): boolean => (server?.roundTripMs ?? 0) >= farMs;

/** The name of the model that the server was started with: LMCache knows the model by it. */
export const named = ({ description: { model } }: ServerIdentity, { ids, salt }: Pick<KvContext, 'ids' | 'salt'>) => ({
  ids,
  salt,
  model: model.root ?? model.id,
});
