import type { Clock } from '../../../base/clock.ts';
import type { KvContext, Measurement, Passage, ReuseEvidence } from '../../../core/ports/engine.ts';
import { CwmError, isCwmError } from '../../../protocol/errors.ts';
import { checkSlot, completionRequest, readCanary, weigh } from '../completion.ts';
import { isUnused, type HomeSlot, type SlotUse } from './homeSlot.ts';
import type { Place } from './place.ts';
import type { ServerIdentity } from '../serverIdentity.ts';
import { eraseSlot } from './slotActions.ts';
import { completionSchema, type Completion } from '../wire.ts';

interface Completed {
  readonly completion: Completion;
  readonly reuse: ReuseEvidence;
}

/** Requests of one greedy token over exact ids in the client's slot, and what they show: the reuse, and the canary. */
export class SlotRequests {
  readonly #home: HomeSlot;
  readonly #clock: Clock;
  /** The key of a server that refused log-probabilities. */
  #refusesLogprobsOf: string | null = null;

  constructor(home: HomeSlot, clock: Clock) {
    this.#home = home;
    this.#clock = clock;
  }

  /** Prepares the slot for a request under this salt. */
  async enter({ link, slot }: Place, salt: string, signal: AbortSignal): Promise<SlotUse> {
    const use = this.#home.plan(slot, salt);
    if (use.erase) await eraseSlot(link, slot, signal);
    this.#home.enter(use);
    return use;
  }

  /**
   * A request is about to be sent past this adapter.
   *
   * @param slot null: of the server's choice. @param isAgain whether the server is new is known.
   */
  async letPass(
    { link, server }: Omit<Place, 'slot'>,
    { salt, slot, isAgain }: { readonly salt: string; readonly slot: number | null; readonly isAgain: boolean },
    signal: AbortSignal,
  ): Promise<Passage> {
    // Who chose a slot has looked at all of them.
    const isNew = !isAgain && (slot === null ? await isUnused(link, server, signal) : this.#home.takeUnused());
    if (isNew && slot === null) this.#home.reset();
    const { reuse, unsound } = this.#home.passes(slot, salt);
    if (unsound !== null) await eraseSlot(link, unsound, signal);
    this.#home.passed(slot, salt);
    return { mayReuse: reuse, isNew };
  }

  async measure(place: Place, context: KvContext, signal: AbortSignal): Promise<Measurement> {
    const { reuse, completion } = await this.#completeWithCanary(place, context, signal);
    return { reuse, canary: readCanary(completion, place.link.label) };
  }

  /** Log-probabilities are evidence only: a server that refuses them is asked without them, from then on. */
  async #completeWithCanary(place: Place, context: KvContext, signal: AbortSignal): Promise<Completed> {
    if (this.#refusesLogprobsOf !== place.server.key) {
      try {
        return await this.complete(place, context, true, signal);
      } catch (error) {
        if (!isCwmError(error, 'EngineRejected')) throw error;
      }
      const plain = await this.complete(place, context, false, signal);
      // Only now is it known that the log-probabilities were what it refused.
      this.#refusesLogprobsOf = place.server.key;
      return plain;
    }
    return this.complete(place, context, false, signal);
  }

  async complete(place: Place, context: KvContext, canary: boolean, signal: AbortSignal): Promise<Completed> {
    const { link, server } = place;
    const sentTokens = context.ids.length;
    requireRoom(sentTokens, server);
    const use = await this.enter(place, context.salt, signal);
    const startedMs = this.#clock.elapsedMs();
    const { value, triedBefore } = await link
      .json(completionRequest(context, use, canary), completionSchema, signal)
      .finally(() => this.#home.ended(place.slot));
    const timeToFirstTokenMs = this.#clock.elapsedMs() - startedMs;
    checkSlot(value.id_slot, use, link.label);
    const { timings } = value;
    const reuse = weigh({ sentTokens, timings, triedBefore, timeToFirstTokenMs, isFromFile: use.isFromFile });
    if (reuse.cachedTokens === 0) this.#home.noLongerFromFile(place.slot);
    return { completion: value, reuse };
  }
}

/**
 * The one new token needs a place too.
 *
 * @throws CwmError ContextTooLong; InvalidParameter for no tokens.
 */
export function requireRoom(tokens: number, { label, description }: ServerIdentity): void {
  if (tokens === 0) throw new CwmError('InvalidParameter', 'There are no token ids to ask the model server about.');
  const { maxModelLen } = description.model;
  if (maxModelLen === null || tokens + 1 <= maxModelLen) return;
  throw new CwmError('ContextTooLong', `The context has ${tokens} tokens; a slot of ${label} takes ${maxModelLen}.`, {
    hint: 'Start llama-server with a larger --ctx-size, or with fewer slots (--parallel).',
    context: { tokens, maxModelLen },
  });
}
