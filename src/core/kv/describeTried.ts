import type { Engine, EngineDescription } from '../ports/engine.ts';

/**
 * The description of an engine, for an operation that will judge the engine's claims of reuse. An engine that shows too little for that
 * is probed first, once for as long as it stays the same.
 */
export async function describeTried(engine: Engine, signal: AbortSignal): Promise<EngineDescription> {
  const description = await engine.describe(signal);
  if (!description.isUntried) return description;
  await engine.probe(signal);
  return engine.describe(signal);
}
