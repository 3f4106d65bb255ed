import type { KvContext, Measurement, ReuseEvidence } from '../../core/ports/engine.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { LinkRequest } from '../http/link.ts';
import { nonceFields } from '../http/nonce.ts';
import type { SlotUse } from './slots/homeSlot.ts';
import type { Completion, Timings } from './wire.ts';

const alternatives = 5;

/**
 * One greedy token over exact ids. Afterwards the slot holds exactly these ids: the new token is not evaluated.
 *
 * @param canary also asks for the log-probabilities before sampling: after it, the greedy token has probability 1 and all others 0.
 */
export const completionRequest = (
  { ids }: Pick<KvContext, 'ids'>,
  { slot, reuse }: Pick<SlotUse, 'slot' | 'reuse'>,
  canary: boolean,
): LinkRequest => ({
  method: 'POST',
  path: '/completion',
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  body: {
    prompt: ids,
    id_slot: slot,
    cache_prompt: reuse,
    n_predict: 1,
    temperature: 0,
    ...nonceFields(),
    ...(canary ? { n_probs: alternatives } : {}),
  },
});

/** The same as part of a probe: answered soon or not at all, and with the answer's ids. */
export function probeRequest(ids: readonly number[], use: Pick<SlotUse, 'slot' | 'reuse'>): LinkRequest {
  const request = completionRequest({ ids }, use, true);
  return { ...request, patience: 'brief', once: true, body: { ...(request.body as object), return_tokens: true } };
}

/** @throws CwmError EngineFailed when another slot worked than the requested one: its numbers say nothing about this context. */
export function checkSlot(worked: number | null | undefined, { slot }: Pick<SlotUse, 'slot'>, label: string): void {
  if (worked === null || worked === undefined || worked === slot) return;
  throw new CwmError('EngineFailed', `llama-server at ${label} worked in slot ${worked} instead of slot ${slot}.`, {
    hint: 'Something between here and llama-server changes requests; connect to it directly.',
    context: { engine: label, slot, worked },
  });
}

/** The numbers of one request, before any judgement. */
export interface Observation {
  readonly sentTokens: number;
  readonly timings: Timings | null | undefined;
  /** An earlier try may have filled the slot that this one found. */
  readonly triedBefore: boolean;
  readonly timeToFirstTokenMs: number | null;
  /** A file filled the slot before this request. */
  readonly isFromFile: boolean;
}

/**
 * The server's own account of this one request. It counts only when it adds up to what was sent; after a try that failed on
 * the way only a 0 is still true.
 */
export function weigh(observation: Observation): ReuseEvidence {
  const { sentTokens, timings, triedBefore, isFromFile } = observation;
  const reported = timings?.cache_n ?? null;
  const addsUp = reported !== null && reported + (timings?.prompt_n ?? 0) === sentTokens;
  const cachedTokens = addsUp && (!triedBefore || reported === 0) ? reported : null;
  return {
    promptTokens: sentTokens,
    cachedTokens,
    cachedTokensFrom: cachedTokens === null ? 'none' : 'timings',
    tier: cachedTokens === null || cachedTokens === 0 ? null : isFromFile ? 'disk' : 'device',
    timeToFirstTokenMs: observation.timeToFirstTokenMs,
    serverIdle: null,
    counters: named(timings),
  };
}

function named(timings: Timings | null | undefined): Record<string, number> {
  const entries = (['cache_n', 'prompt_n', 'prompt_ms'] as const).map((key) => [`timings.${key}`, timings?.[key]]);
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'number')) as Record<string, number>;
}

/**
 * Null when the server gave no log-probabilities.
 *
 * @throws CwmError EngineFailed when they are no numbers, which is what KV of noise makes of them.
 */
export function readCanary(completion: Completion, label: string): Measurement['canary'] {
  const first = completion.completion_probabilities?.[0];
  const top = first?.top_logprobs ?? [];
  if (!first || top.length === 0) return null;
  const topLogprobs = top.slice(0, alternatives).map(({ id, logprob }) => {
    if (logprob !== null) return { token: `token_id:${id}`, logprob };
    throw new CwmError('EngineFailed', `llama-server at ${label} computed what are no numbers.`, {
      hint: 'Its KV is damaged: restart llama-server, then thaw the window again.',
    });
  });
  return { tokenId: first.id, topLogprobs };
}
