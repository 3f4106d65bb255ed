import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { EngineDescription } from '../ports/engine.ts';

/** The record of a window that has no KV: its text is stored, and the engine's cache is unknown. */
export const emptyKv = (
  saltGeneration: number,
  engine?: Pick<EngineDescription, 'kind' | 'version' | 'blockTokens'>,
): KvRecord => ({
  saltGeneration,
  engineKind: engine?.kind ?? 'unknown',
  engineVersion: engine?.version ?? 'unknown',
  blockTokens: engine?.blockTokens ?? null,
  hashProfile: null,
  canary: null,
  canaryIsExact: false,
  prefixCanaries: [],
  handle: null,
  kvBytes: null,
  blocks: [],
});
