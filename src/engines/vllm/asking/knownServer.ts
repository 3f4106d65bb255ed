import { farMs, type KvContext } from '../../../core/ports/engine.ts';
import type { Capabilities } from '../../../protocol/schemas/capabilities.ts';
import type { BlockStore } from '../blocks/blockStore.ts';
import type { CanaryAsker } from '../chat/canaryAsker.ts';
import type { Dialect } from '../dialect.ts';
import type { ServerIdentity } from '../serverIdentity.ts';

/** A server, and everything that holds as long as it is this one. */
export interface KnownServer {
  readonly identity: ServerIdentity;
  readonly blocks: BlockStore;
  /** How long it takes to answer anything, in milliseconds. */
  roundTripMs: number;
  readonly dialect: Dialect;
  readonly canaries: CanaryAsker;
  /** What a probe found. */
  capabilities: Capabilities | null;
  /** Null until it was asked for what it can't have, and again when that may have changed; false for good once it claimed to have it. */
  isBelieved: boolean | null;
  /** When it was asked last, by the monotonic clock. */
  askedAtMs: number;
  /** As it counted them last; less than that is another server, or one that makes its counters up; so is a leap. */
  countedTokens: number;
}

/** Whether it takes so long to answer that no round may be wasted. */
export const isFar = (server: KnownServer | null): boolean => (server?.roundTripMs ?? 0) >= farMs;

/** LMCache knows a model by what the server was started with. */
export const named = ({ description: { model } }: ServerIdentity, { ids, salt }: Pick<KvContext, 'ids' | 'salt'>) => ({
  ids,
  salt,
  model: model.root ?? model.id,
});
