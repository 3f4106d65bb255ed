import { randomSalt } from '../../../base/hash.ts';
import type { KvContext, Measurement } from '../../../core/ports/engine.ts';
import { CwmError, isCwmError } from '../../../protocol/errors.ts';
import { idsOfLength } from '../../probe/tinyRequests.ts';
import { readCanary } from './completion.ts';
import type { Completed } from '../probe.ts';

/** Sends one completion over exact ids, with log-probabilities or without. */
export type Complete = (context: KvContext, canary: boolean) => Promise<Completed>;

export interface AskedCanary {
  readonly completed: Completed;
  /** Null when the server gives no usable log-probabilities. */
  readonly canary: Measurement['canary'];
  /** A failed try may have computed the context, so that reuse proves nothing about the KV from before. */
  readonly mayHaveRun: boolean;
}

const usualBlockTokens = 16;

/**
 * Asks for canaries as long as a server answers them. When a server refuses log-probabilities, fails over them or gives none that are
 * numbers, the window gets no canary, and nothing else is lost. Damaged KV makes a server fail in the same ways, but not over a fresh
 * prompt: this tells the two apart.
 */
export class CanaryAsker {
  /** Null until an answer has shown it. */
  #givesLogprobs: boolean | null = null;

  /**
   * @throws CwmError as `complete`; EngineFailed when the server gives log-probabilities in general, and none that are numbers over this
   *   context.
   */
  async ask(
    context: KvContext,
    {
      complete,
      blockTokens,
      label,
    }: { readonly complete: Complete; readonly blockTokens: number | null; readonly label: string },
  ): Promise<AskedCanary> {
    if (this.#givesLogprobs === false)
      return { completed: await complete(context, false), canary: null, mayHaveRun: false };
    const askWith = async (context: KvContext): Promise<AskedCanary> => {
      const completed = await complete(context, true);
      return { completed, canary: readCanary(completed.completion, label), mayHaveRun: false };
    };
    try {
      const asked = await askWith(context);
      if (asked.canary) this.#givesLogprobs = true;
      return asked;
    } catch (error) {
      if (this.#givesLogprobs === true || !mayBeOfLogprobs(error)) throw error;
      const ids = idsOfLength(Math.min(context.ids.length, blockTokens ?? usualBlockTokens), []);
      const fresh = { ids, salt: randomSalt(), handle: null };
      const failsFresh = await fails(() => askWith(fresh));
      if (!failsFresh || (await fails(() => complete(fresh, false)))) throw error;
      this.#givesLogprobs = false;
      // A refused request was not computed.
      const mayHaveRun = !isCwmError(error, 'EngineRejected');
      return { completed: await complete(context, false), canary: null, mayHaveRun };
    }
  }
}

/** The failure of a busy or lost server says nothing about log-probabilities. */
function mayBeOfLogprobs(error: unknown): boolean {
  if (!isCwmError(error, 'EngineRejected', 'EngineFailed')) return false;
  const status = error.context?.['status'];
  return status === undefined || [400, 422, 500, 501].includes(status as number);
}

/** @throws the error unless it is an answer of the server. */
async function fails(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return false;
  } catch (error) {
    if (error instanceof CwmError && mayBeOfLogprobs(error)) return true;
    throw error;
  }
}
