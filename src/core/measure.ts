import type { Engine, KvContext, Measurement } from './ports/engine.ts';

/**
 * One request over a context, and its canary. With `canaryTokens` the canary is another request's, over so many of the first
 * tokens: it then rests on nothing but KV that the engine keeps for long, and what it computed again does not blur it.
 */
export async function measure(
  engine: Engine,
  context: KvContext,
  canaryTokens: number | undefined,
  signal: AbortSignal,
): Promise<Measurement> {
  const measured = await engine.measure(context, signal);
  if (canaryTokens === undefined || measured.canary === null) return measured;
  const { canary } = await engine.measure({ ...context, ids: context.ids.slice(0, canaryTokens) }, signal);
  return { ...measured, canary };
}
