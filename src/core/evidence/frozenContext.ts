import type { KvRecord, WindowManifest } from '../../protocol/schemas/window.ts';
import type { Progress } from '../ports/reporter.ts';
import type { Engine, EngineDescription } from '../ports/engine.ts';
import type { Hold } from '../space/blocksInUse.ts';

/** Where the record of a context's KV is stored, and what others recorded about the blocks that they share with it. */
export interface KvRecordPlace {
  save(kv: KvRecord): Promise<void>;
  /** A hash that nobody else has is absent. */
  checksumsOfOthers(hashes: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
}

/** A window's context and the engine that shall have its KV again: what evidence is collected about, and what a repair works on. */
export interface FrozenContext {
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly manifest: WindowManifest;
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  /** Of a server with slots: the one that it shall come into. Default: the engine's own. */
  readonly slot?: number | undefined;
  readonly record: KvRecordPlace;
  readonly progress: Progress;
  readonly hold: Hold;
}
