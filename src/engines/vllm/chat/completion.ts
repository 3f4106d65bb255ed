import type { KvContext, Measurement } from '../../../core/ports/engine.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { Canary } from '../../../protocol/schemas/receipt.ts';
import type { LinkRequest } from '../../http/link.ts';
import { nonceFields } from '../../http/nonce.ts';
import type { Completion } from '../wire.ts';

const alternatives = 5;

/**
 * A request for one greedy token over exact ids. No `echo` and no `prompt_logprobs`: either makes vLLM skip the prefix cache. The salt
 * stands at the top level of the body (vllm#17045); anywhere else it is silently ignored. Each request is unlike all others, because an
 * answer from a cache in front of the server is no evidence about the server.
 *
 * @param tail for the embedded engine: reads, or stores as well, the KV behind the last full block. Default: full blocks only.
 */
export const completionRequest = (
  model: string,
  context: KvContext,
  canary: boolean,
  tail?: 'load' | 'store',
): LinkRequest => ({
  method: 'POST',
  path: '/v1/completions',
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  body: {
    model,
    prompt: context.ids,
    max_tokens: 1,
    temperature: 0,
    ...nonceFields(),
    cache_salt: context.salt,
    ...(tail && { cwm_tail: tail }),
    // Returning the prompt's ids doubles the traffic of a long context, so only the sealing request asks for them, to compare
    // them with the ids that were sent. A canary's alternatives are keyed by id: two tokens may have the same text.
    ...(canary ? { logprobs: alternatives, return_tokens_as_token_ids: true } : { return_token_ids: true }),
  },
});

/**
 * The same request as part of a probe: answered soon or not at all, and stored nowhere but in the server's memory.
 *
 * @param options.keptTokens of these many tokens, from the first on, a tier may store the KV. Default 0.
 */
export function probeRequest(
  model: string,
  context: KvContext,
  {
    canary,
    isVllm,
    keptTokens = 0,
  }: { readonly canary: boolean; readonly isVllm: boolean; readonly keptTokens?: number },
): LinkRequest {
  const request = completionRequest(model, context, canary);
  // Not on other servers: some refuse unknown fields.
  const unkept = isVllm ? { kv_transfer_params: { max_offload_tokens: keptTokens } } : {};
  return { ...request, patience: 'brief', once: true, body: { ...(request.body as object), ...unkept } };
}

/** @throws CwmError EngineRejected when the server says that it used other ids: its answer is not about this context. */
export function checkEcho(completion: Completion, ids: readonly number[], label: string): void {
  const echoed = completion.choices[0]?.prompt_token_ids;
  if (!echoed || (echoed.length === ids.length && echoed.every((id, index) => id === ids[index]))) return;
  throw new CwmError('EngineRejected', `The model server at ${label} worked on other token ids than it was sent.`, {
    hint: 'Something between here and the model changes prompts; connect to the model server directly.',
    context: { engine: label, sent: ids.length, echoed: echoed.length },
  });
}

/**
 * Null when the server gave no log-probabilities. A missing token id is −1.
 *
 * @throws CwmError EngineFailed when they are not numbers, as with KV of random bytes.
 */
export function readCanary(completion: Completion, label: string): Measurement['canary'] {
  const choice = completion.choices[0];
  const top = choice?.logprobs?.top_logprobs?.[0];
  if (!choice || !top) return null;
  const topLogprobs = Object.entries(top)
    .map(([token, logprob]) => {
      if (logprob !== null) return { token, logprob };
      throw new CwmError('EngineFailed', `The model server at ${label} computed what are no numbers.`, {
        hint: 'KV that it reuses is damaged: thaw the window again to repair it.',
      });
    })
    .sort((a, b) => b.logprob - a.logprob || (a.token < b.token ? -1 : 1))
    .slice(0, alternatives);
  if (topLogprobs.length === 0) return null;
  const canary: Canary = { tokenId: choice.token_ids?.[0] ?? namedId(choice.logprobs?.tokens?.[0]), topLogprobs };
  return canary;
}

const namedId = (token: string | undefined): number => {
  const match = /^token_id:(\d+)$/.exec(token ?? '');
  return match ? Number(match[1]) : -1;
};
