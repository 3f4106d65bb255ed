import type { EngineStatus } from '../../protocol/schemas/health.ts';
import type { Embedder } from './search.ts';
import type { Engine } from './engine.ts';

/** The engines of this backend, one for each spec, made when first asked for. */
export interface EngineRegistry {
  /** Used where neither the request nor the session names one. */
  readonly defaultSpec: string;

  /** Starts nothing yet. @throws CwmError InvalidParameter when it is neither an http(s) URL nor `embedded` nor `embedded:FILE`. */
  get(spec: string): Engine;

  /** What embeds texts of sessions with this engine: the same one each time; null: nothing does. Left out: nothing does for any. */
  embedder?(spec: string): Embedder | null;

  /** The work, to be run later with what this request has: its key for a model server. Left out: requests have none. */
  inThisRequest?<Work extends (signal: AbortSignal) => Promise<void>>(work: Work): Work;

  /** Never throws for an engine that is down: its report says so. */
  status(spec: string, signal: AbortSignal): Promise<EngineStatus>;
}
