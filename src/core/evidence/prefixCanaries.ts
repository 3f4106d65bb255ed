import type { Canary } from '../../protocol/schemas/receipt.ts';
import type { KvRecord, PrefixCanary } from '../../protocol/schemas/window.ts';
import { askForNoise } from './askForNoise.ts';
import { grossDifference } from './canary.ts';
import { compareExactly, type CanaryCheck } from './canaryCheck.ts';
import type { Engine, KvContext, Measurement } from '../ports/engine.ts';
import { reuseFloor } from './reuse.ts';

/*
 * A canary over the whole context speaks of what its last token attends to, and can be compared bit for bit only where all KV was
 * reused. Canaries over beginnings see more of the KV, and each still speaks exactly, whatever was computed again behind it.
 */

/** How many beginnings of a context are asked over, where it is long enough: they lie a quarter of it apart. */
const prefixes = 3;

/** The result of repeating the requests over the beginnings. */
export interface PrefixCheck {
  /** Of the longest beginning that answered the same; 0 when none did. */
  readonly agreedTokens: number;
  /** The first beginning with a different answer, then and now. */
  readonly disagreed: {
    readonly tokens: number;
    readonly frozen: Canary;
    readonly measured: Canary;
    readonly check: CanaryCheck;
  } | null;
}

/**
 * Asks the canary over some beginnings of a context that the engine has in its cache.
 *
 * @returns shortest first; those are left out for which anything was computed again, or nobody knows, or answers are far apart.
 */
export async function askOverPrefixes(
  engine: Engine,
  { blockTokens, ...context }: KvContext & { readonly blockTokens: number | null },
  signal: AbortSignal,
): Promise<PrefixCanary[]> {
  if (blockTokens === null) return [];
  const blocks = reuseFloor(context.ids.length, blockTokens) / blockTokens;
  const ends = Array.from({ length: prefixes }, (_, index) => Math.floor(((index + 1) * blocks) / (prefixes + 1)));
  const answers: PrefixCanary[] = [];
  for (const end of new Set(ends.filter((end) => end > 0))) {
    // One token more, since an engine always computes the last one.
    const tokens = end * blockTokens + 1;
    const { last, pair, noise } = await askForNoise(() => askOver(engine, context, tokens, signal), 1);
    if (isAllReused(last, tokens) && pair && noise !== null && noise <= grossDifference)
      answers.push({ tokens, canary: pair[1], noise });
  }
  return answers;
}

/** Compares the canaries over those beginnings that were all reused, up to the first that answers otherwise. */
export async function checkPrefixes(
  { engine, kv }: { readonly engine: Engine; readonly kv: KvRecord },
  context: KvContext,
  { reuse }: Measurement,
  signal: AbortSignal,
): Promise<PrefixCheck> {
  let agreedTokens = 0;
  for (const { tokens, canary: frozen, noise: frozenNoise } of kv.prefixCanaries) {
    if (tokens - 1 > (reuse.cachedTokens ?? 0)) break;
    const ask = () => askOver(engine, context, tokens, signal);
    const measured = await ask();
    if (!measured.canary || !isAllReused(measured, tokens)) continue;
    const check = await compareExactly({ frozen, frozenNoise, measured, askAgain: ask });
    if (check.result === 'disagreed' || check.mayBeNoise)
      return { agreedTokens, disagreed: { tokens, frozen, measured: measured.canary, check } };
    if (check.result === 'agreed') agreedTokens = tokens;
  }
  return { agreedTokens, disagreed: null };
}

const askOver = (engine: Engine, context: KvContext, tokens: number, signal: AbortSignal): Promise<Measurement> =>
  engine.measure({ ...context, ids: context.ids.slice(0, tokens) }, signal);

/** Whether nothing but the last token was computed. */
const isAllReused = ({ reuse }: Measurement, tokens: number): boolean => (reuse.cachedTokens ?? 0) >= tokens - 1;
