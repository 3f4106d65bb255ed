import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { VllmUnderSoak } from './vllmUnderSoak.ts';
import { EmbeddedUnderSoak } from './embeddedUnderSoak.ts';
import type { IdsFact } from './facts.ts';
import type { Random } from './random.ts';
import { SlotsUnderSoak } from './slotsUnderSoak.ts';

/**
 * The model server of a field, and where it keeps KV: a fake vLLM with KV in memory alone, or in files that the clients see; a llama-server whose
 * slot files they see, a fake or a real one; or the engine that the backend itself runs. Files that are seen are damaged between rounds.
 */
export type KvPlace = 'memory' | 'files in sight' | 'slots in sight' | 'slots of a real server' | 'embedded';

/** It knows what was truly reused, so that it can tell a false proof from a true one. */
export interface ModelServer {
  /** As clients name it. */
  readonly spec: string;
  /** Codes with which it may refuse besides those of every server, and verdicts of a thaw: a round may kill it. */
  readonly mayRefuse: readonly string[];
  readonly mayJudge: readonly string[];
  /** Whether {@link damage} can do anything. */
  readonly damagesFiles: boolean;
  /** Whether {@link killBelow} can. */
  readonly hasProcesses: boolean;
  /** Loses what is in memory. */
  evict(): Promise<void>;
  /** `kill -9` of processes of it that the backend with this id started, if it starts any. @returns how many. */
  killBelow(backendPid: number): number;
  /** Flips a bit of one of these blocks' files. @returns whether there was a file. */
  damage(random: Random, hashes: readonly string[]): boolean;
  /** What is wrong with the proof in a receipt; null when nothing is. @param ids of the window. @param blocks that its record named last. */
  falseProof(receipt: Receipt, ids: IdsFact, blocks: readonly string[]): string | null;
  stop(): Promise<void>;
}

/** @param storage of the clients. */
export function startModelServer(kv: KvPlace, storage: string): Promise<ModelServer> {
  if (kv === 'embedded') return EmbeddedUnderSoak.start(storage);
  if (kv === 'slots in sight') return SlotsUnderSoak.start('fake');
  if (kv === 'slots of a real server') return SlotsUnderSoak.start('real');
  return VllmUnderSoak.start(kv);
}
