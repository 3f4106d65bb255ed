import * as z from 'zod/mini';

import { fetchAlone } from './fetchAlone.ts';

/** vLLM's API as it is on the wire, so that the live suite proves the servers, not the product's own client. */

const completionSchema = z.object({
  choices: z.tuple([
    z.object({
      text: z.string(),
      token_ids: z.array(z.int()),
      prompt_token_ids: z.array(z.int()),
      logprobs: z.nullable(z.object({ top_logprobs: z.array(z.record(z.string(), z.number())) })),
    }),
  ]),
  usage: z.object({
    prompt_tokens: z.int(),
    prompt_tokens_details: z.nullable(z.object({ cached_tokens: z.nullable(z.int()) })),
  }),
});

export interface CompletionRequest {
  readonly model: string;
  readonly promptIds: readonly number[];
  readonly salt?: string;
  /** Default 1. */
  readonly maxTokens?: number;
  /** Of these many tokens, from the first on, a tier may store the KV. Default: of all. */
  readonly keptTokens?: number;
}

export interface Completion {
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  /** null when the server does not tell. */
  readonly cachedTokens: number | null;
  /** For each generated token its five likeliest, by id. */
  readonly topLogprobs: readonly Readonly<Record<string, number>>[];
}

/** One greedy completion that never ends early. @throws an Error with the answer's body unless the status is 200. */
export async function complete(
  url: string,
  { model, promptIds, salt, maxTokens = 1, keptTokens }: CompletionRequest,
): Promise<Completion> {
  const body = await post(url, '/v1/completions', {
    model,
    prompt: promptIds,
    max_tokens: maxTokens,
    temperature: 0,
    ignore_eos: true,
    logprobs: 5,
    return_token_ids: true,
    return_tokens_as_token_ids: true,
    ...(salt !== undefined && { cache_salt: salt }),
    ...(keptTokens !== undefined && { kv_transfer_params: { max_offload_tokens: keptTokens } }),
  });
  const { choices, usage } = completionSchema.parse(body);
  const [choice] = choices;
  return {
    promptIds: choice.prompt_token_ids,
    answerIds: choice.token_ids,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
    topLogprobs: choice.logprobs?.top_logprobs ?? [],
  };
}

/** The ids of a text. */
export async function tokenize(url: string, model: string, prompt: string): Promise<readonly number[]> {
  return z.object({ tokens: z.array(z.int()) }).parse(await post(url, '/tokenize', { model, prompt })).tokens;
}

/** The value of each series of one metric, by the value of one label. */
export async function metricByLabel(
  url: string,
  name: string,
  label: string,
): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetchAlone(`${url}/metrics`)).text();
  const values: Record<string, number> = {};
  for (const line of text.split('\n').filter((line) => line.startsWith(`${name}{`))) {
    const key = new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1];
    if (key !== undefined) values[key] = Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return values;
}

/**
 * Has a server that was started with `devMode` forget the KV in its memory, on the device and in the host's tier. Files stay, and what was
 * being written is written first.
 *
 * @returns false while it still holds some: ask again after another request.
 */
export async function resetMemory(url: string): Promise<boolean> {
  return z.object({ success: z.boolean() }).parse(await post(url, '/reset_prefix_cache?reset_external=true', {}))
    .success;
}

async function post(url: string, path: string, body: object): Promise<unknown> {
  const response = await fetchAlone(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text);
}
