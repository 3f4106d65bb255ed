import { randomSalt } from '../../base/hash.ts';
import { isCwmError } from '../../protocol/errors.ts';
import { canaryDifference, isBeyondNoise } from './canary.ts';
import type { Engine, KvContext, Measurement } from '../ports/engine.ts';
import type { FrozenContext } from './frozenContext.ts';
import { reusedLess } from './reuse.ts';

/**
 * One request over a context, and its canary. With `canaryTokens` the canary is another request's, over so many of the first
 * tokens: it then rests only on KV that the engine stores for long, and KV that was computed again does not blur it.
 */
export async function measure(
  engine: Engine,
  context: KvContext,
  canaryTokens: number | undefined,
  signal: AbortSignal,
  isFollowed = false,
): Promise<Measurement> {
  const measured = await engine.measure(context, signal, isFollowed);
  if (canaryTokens === undefined || measured.canary === null) return measured;
  const { canary, reuse } = await engine.measure({ ...context, ids: context.ids.slice(0, canaryTokens) }, signal);
  const serverIdle = measured.reuse.serverIdle && reuse.serverIdle;
  return { reuse: { ...measured.reuse, serverIdle }, canary };
}

/** For an engine that names no block size. */
const mostLikelyBlockTokens = 256;

/**
 * Null when the engine fails over KV that it has: a block of noise makes it answer 500 for as long as the block is there, so it is asked twice.
 * An engine that fails on a fresh prompt as well is simply failing, and its error is passed on. The fresh prompt fills a whole
 * block: vLLM 0.32 gives the failed request's last block to the next request, and fails over the noise that a shorter prompt
 * leaves standing in it.
 */
export async function measureUnlessPoisoned(
  { engine, description, kv }: Pick<FrozenContext, 'engine' | 'description' | 'kv'>,
  context: KvContext,
  signal: AbortSignal,
): Promise<Measurement | null> {
  const askOnce = () => measure(engine, context, kv.canaryTokens, signal);
  const ask = async (): Promise<Measurement> => {
    const measured = await askOnce();
    if (!isMoved(kv, measured)) return measured;
    const { canary, reuse } = await askOnce();
    // Of KV that was computed again in the meantime, its canary says nothing about what the first one reused.
    if (reusedLess(reuse, measured.reuse)) return { ...measured, isGone: true };
    return { reuse: { ...measured.reuse, serverIdle: measured.reuse.serverIdle && reuse.serverIdle }, canary };
  };
  try {
    return await ask().catch((error: unknown) => {
      if (isFailure(error)) return ask();
      throw error;
    });
  } catch (error) {
    if (!isFailure(error)) throw error;
    const ids = context.ids.slice(0, description.blockTokens ?? mostLikelyBlockTokens);
    await engine.measure({ ids, salt: randomSalt(), handle: null }, signal).catch(() => {
      throw error;
    });
    return null;
  }
}

/** Whether the canary is another one than the frozen one, and may be so only for its company. */
function isMoved({ canary: frozen }: FrozenContext['kv'], { canary, reuse, isAccompanied }: Measurement): boolean {
  if (!isAccompanied || !frozen || !canary || reuse.cachedTokens === 0) return false;
  return isBeyondNoise(canaryDifference(frozen[1], canary), canaryDifference(...frozen));
}

const isFailure = (error: unknown): boolean => isCwmError(error, 'EngineFailed');
