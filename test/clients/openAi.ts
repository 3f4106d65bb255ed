import { createRequire } from 'node:module';
import { clientModules } from './install.ts';
import type { Served } from './served.ts';

export interface Said {
  readonly role: string;
  readonly content: string;
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string | null } }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
}

/** The part of the `openai` package that is used here; it is installed apart, so that no type of it is known. */
interface OpenAi {
  readonly models: { list(): Promise<{ readonly data: readonly { readonly id: string }[] }> };
  readonly chat: { readonly completions: { create(body: object): Promise<AsyncIterable<Chunk>> } };
  readonly responses: { create(body: object): Promise<{ readonly id: string; readonly output_text: string }> };
}

export function openAi({ url, token }: Served, project: string): OpenAi {
  const { default: Client } = createRequire(clientModules('openai'))('openai') as {
    default: new (options: object) => OpenAi;
  };
  return new Client({ baseURL: `${url}/p/${project}/v1`, apiKey: token, maxRetries: 0 });
}

export interface Asked {
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly firstMs: number;
}

/** One streamed answer. @param pieces after so many, the client leaves; default: it stays. */
export async function ask(api: OpenAi, model: string, messages: readonly Said[], pieces = Infinity): Promise<Asked> {
  const startedMs = performance.now();
  let [text, firstMs, count, promptTokens, cachedTokens] = ['', 0, 0, 0, 0];
  const max_tokens = pieces === Infinity ? 12 : 400;
  const body = { model, messages, stream: true, max_tokens, temperature: 0.5, stream_options: { include_usage: true } };
  for await (const { choices, usage } of await api.chat.completions.create(body)) {
    firstMs ||= performance.now() - startedMs;
    text += choices[0]?.delta.content ?? '';
    promptTokens = usage?.prompt_tokens ?? promptTokens;
    cachedTokens = usage?.prompt_tokens_details?.cached_tokens ?? cachedTokens;
    if (++count > pieces) break;
  }
  return { text, promptTokens, cachedTokens, firstMs };
}
