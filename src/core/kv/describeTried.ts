import type { Engine, EngineDescription } from '../ports/engine.ts';

/**
 * What an engine is, for an operation that will weigh what it says of reuse: one that shows too little for that is tried out first,
 * once for as long as it stays the same.
 */
export async function describeTried(engine: Engine, signal: AbortSignal): Promise<EngineDescription> {
  const description = await engine.describe(signal);
  if (!description.isUntried) return description;
  await engine.probe(signal);
  return engine.describe(signal);
}
