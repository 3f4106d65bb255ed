import * as z from 'zod/mini';
import { detokenize, imEnd, renderChat, textOf, tokenizeText } from './fakeModel.ts';
import { claimedTokens, runRequest, type FakeOutcome, type FakeScheduling } from './fakeScheduler.ts';
import type { Answer, SeenRequest } from './fakeHttp.ts';

export interface FakeBackEnd extends FakeScheduling {
  readonly version: string;
  /** From 0.32: `prompt_tokens_cached_by_source_total`. */
  readonly namesTiers: boolean;
}

const maybe = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(z.nullable(schema));
/** Every picture is the same placeholder. */
const placeholder = '<image>';
const part = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('image_url'),
    image_url: z.object({ url: z.string().check(z.startsWith('data:image/')) }),
  }),
]);
const content = z.pipe(
  z.union([z.string(), z.array(part)]),
  z.transform((given) =>
    typeof given === 'string' ? given : given.map((it) => (it.type === 'text' ? it.text : placeholder)).join(''),
  ),
);
const messages = z.array(z.object({ role: z.string(), content }));
const ids = z.array(z.int().check(z.nonnegative()));
const shared = {
  model: maybe(z.string()),
  max_tokens: maybe(z.int().check(z.gte(1))),
  temperature: maybe(z.number().check(z.gte(0))),
  cache_salt: maybe(z.string().check(z.minLength(1), z.maxLength(128), z.regex(/^[^@/\\\0]*$/))),
  return_token_ids: maybe(z.boolean()),
};
const completionBody = z.object({
  ...shared,
  prompt: z.union([z.string(), ids]),
  logprobs: maybe(z.int()),
  stream: maybe(z.boolean()),
  stream_options: maybe(z.object({ include_usage: maybe(z.boolean()) })),
  kv_transfer_params: maybe(z.object({ max_offload_tokens: maybe(z.int()) })),
  return_tokens_as_token_ids: maybe(z.boolean()),
});
const chatBody = z.object({
  ...shared,
  messages,
  stream: maybe(z.boolean()),
  stream_options: maybe(z.object({ include_usage: maybe(z.boolean()) })),
  add_generation_prompt: maybe(z.boolean()),
  tools: maybe(z.array(z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }))),
});
const tokenizeBody = z.union([
  z.object({ messages, add_generation_prompt: maybe(z.boolean()) }),
  z.object({ prompt: z.string() }),
]);

export const refuse = (
  status: number,
  message: string,
  { type = 'BadRequestError', param = null }: { type?: string; param?: string | null } = {},
): Answer => ({ status, json: { error: { message, type, param, code: status } } });
const ok = (json: unknown): Answer => ({ status: 200, json });
const notFound: Answer = { status: 404, json: { detail: 'Not Found' } };

/** vLLM's OpenAI server, as far as a client of the KV cache meets it. */
export function answerRequest(engine: FakeBackEnd, { method, path, headers, body }: SeenRequest): Answer {
  const { faults } = engine;
  const xargs = (body as { vllm_xargs?: { kv_cache_report_mode?: unknown } } | undefined)?.vllm_xargs;
  engine.events.begin((headers['x-session-id'] as string | undefined) ?? null, xargs?.kv_cache_report_mode);
  // vLLM guards only what is under /v1.
  if (path.startsWith('/v1') && faults.apiKey !== null && headers.authorization !== `Bearer ${faults.apiKey}`)
    return { status: 401, json: { error: 'Unauthorized' } };
  switch (`${method} ${path}`) {
    case 'GET /health':
      return { status: 200, text: '' };
    case 'GET /version':
      return faults.hasVersion ? ok({ version: engine.version }) : notFound;
    case 'GET /server_info?config_format=json':
      return faults.devMode ? ok(serverInfo(engine)) : notFound;
    case 'GET /v1/models':
      return ok({ object: 'list', data: [modelEntry(engine)] });
    case 'GET /metrics':
      return faults.metrics ? { status: 200, text: metricsText(engine) } : notFound;
    case 'POST /tokenize':
      return faults.hasTokenize ? parsed(tokenizeBody, body, (request) => tokenize(engine, request)) : notFound;
    case 'POST /detokenize':
      return faults.hasTokenize
        ? parsed(z.object({ tokens: ids }), body, ({ tokens }) => ok({ prompt: textOf(tokens) }))
        : notFound;
    case 'POST /v1/completions':
      return parsed(completionBody, body, (request) => complete(engine, request));
    case 'POST /v1/chat/completions':
      return parsed(chatBody, body, (request) => chat(engine, request));
    case 'GET /v1/completions':
    case 'GET /v1/chat/completions':
      return { status: 405, json: { detail: 'Method Not Allowed' } };
    default:
      return notFound;
  }
}

function parsed<Schema extends z.ZodMiniType>(
  schema: Schema,
  body: unknown,
  answer: (request: z.output<Schema>) => Answer,
): Answer {
  const result = schema.safeParse(body);
  if (result.success) return answer(result.data);
  return refuse(400, `[{'loc': ('body', '${result.error.issues[0]?.path.join("', '")}')}]`);
}

const modelEntry = ({ faults, tier }: FakeBackEnd) => ({
  id: faults.model,
  object: 'model',
  created: 1_700_000_000,
  owned_by: 'vllm',
  root: faults.adapterFrom ?? tier?.modelPath ?? faults.model,
  parent: faults.adapterFrom === null ? null : 'base',
  max_model_len: faults.maxModelLen,
  permission: [],
});

function serverInfo({ faults, tier }: FakeBackEnd): object {
  const names = [...(tier ? ['OffloadingConnector'] : []), ...(faults.connector === null ? [] : [faults.connector])];
  const single = { kv_connector: names[0], kv_connector_extra_config: {} };
  const several = {
    kv_connector: 'MultiConnector',
    kv_connector_extra_config: { connectors: names.map((kv_connector) => ({ kv_connector })) },
  };
  const config = { 0: null, 1: single }[names.length];
  return {
    vllm_config: { kv_transfer_config: config === undefined ? several : config },
    vllm_env: { VLLM_API_KEY: faults.apiKey },
    system_env: {},
  };
}

const metricsText = ({ faults, counters, blockTokens, profile, namesTiers, tier }: FakeBackEnd): string =>
  `${faults.hasLmcacheInside ? 'lmcache:num_retrieve_requests_total 0.0\n' : ''}${(tier ? counters.tierLines(tier.writtenBytes, tier.readBytes) : []).join('\n')}\n${counters.text(
    faults.othersRunning,
    {
      block_size: faults.toldBlockTokens ?? String(blockTokens),
      cache_dtype: 'auto',
      enable_prefix_caching: faults.prefixCaching ? 'True' : 'False',
      engine: '0',
      prefix_caching_hash_algo: profile.algorithm,
      sliding_window: 'None',
    },
    { counts: faults.metrics === true, namesTiers, ranks: faults.ranks },
  )}`;

function render(
  { dropsReasoning, templateLine }: FakeBackEnd['faults'],
  { messages, add_generation_prompt: opens }: Pick<z.output<typeof chatBody>, 'messages' | 'add_generation_prompt'>,
): number[] {
  const said = messages.map(({ role, content }) => ({
    role,
    content: dropsReasoning && role === 'assistant' ? content.replace(/^.*<\/think>\s*/s, '') : content,
  }));
  return renderChat(said, opens ?? true, templateLine);
}

function tokenize({ faults }: FakeBackEnd, request: z.output<typeof tokenizeBody>): Answer {
  const tokens = 'prompt' in request ? tokenizeText(request.prompt) : render(faults, request);
  return ok({ count: tokens.length, max_model_len: faults.maxModelLen, tokens, token_strs: null });
}

interface Ask {
  readonly model?: string | null | undefined;
  readonly max_tokens?: number | null | undefined;
  readonly cache_salt?: string | null | undefined;
  readonly logprobs?: number | null | undefined;
  readonly kv_transfer_params?: { readonly max_offload_tokens?: number | null | undefined } | null | undefined;
}

/** Runs it, or says in vLLM's words why not. */
function run(engine: FakeBackEnd, ask: Ask, prompt: readonly number[]): FakeOutcome | Answer {
  const { faults } = engine;
  if (ask.model !== undefined && ask.model !== null && ask.model !== faults.model)
    return refuse(404, `The model \`${ask.model}\` does not exist. Valid aliases: ${faults.model}.`, {
      type: 'NotFoundError',
      param: 'model',
    });
  const room = faults.maxModelLen - prompt.length;
  if (prompt.length === 0) return refuse(400, 'You must pass at least one prompt');
  if (room < 0)
    return refuse(
      400,
      `This model's maximum context length is ${faults.maxModelLen} tokens. However, your prompt contains ${prompt.length} input tokens, which exceeds this limit even without any output tokens. (parameter=input_tokens, value=${prompt.length})`,
      { param: 'input_tokens' },
    );
  if (room === 0)
    return refuse(400, 'max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)', {
      param: 'max_tokens',
    });
  // What does not fit any more is left out without a word.
  const maxTokens = Math.min(ask.max_tokens ?? 16, room);
  const maxOffloadTokens = ask.kv_transfer_params?.max_offload_tokens ?? null;
  const outcome = runRequest(engine, prompt, ask.cache_salt ?? null, maxTokens, maxOffloadTokens);
  const isNoise = outcome.tokens.some(({ top }) => top.some(({ logprob }) => logprob === null));
  return isNoise && ask.logprobs !== undefined && ask.logprobs !== null
    ? refuse(400, 'Out of range float values are not JSON compliant')
    : outcome;
}

function usageOf(
  { faults, blockTokens }: FakeBackEnd,
  promptTokens: number,
  { cachedTokens, tokens }: FakeOutcome,
  streamed: boolean,
) {
  const told = {
    told: cachedTokens,
    null: null,
    'zero-omitted': cachedTokens === 0 ? null : cachedTokens,
    'claims-all': claimedTokens(faults, promptTokens, blockTokens),
    'more than there are': promptTokens + blockTokens,
    'below zero': -cachedTokens,
    'in words': 'all of them',
  }[faults.usageDetails];
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + tokens.length,
    completion_tokens:
      streamed && faults.streamedIds === 'missing and counted so'
        ? tokens.filter((_, index) => index % 3 !== 2).length
        : tokens.length,
    // In a stream, what is null is left out.
    ...(told === null
      ? streamed
        ? {}
        : { prompt_tokens_details: null }
      : { prompt_tokens_details: { cached_tokens: told, ...(streamed ? {} : { created_cache_tokens: null }) } }),
  };
}

function complete(engine: FakeBackEnd, request: z.output<typeof completionBody>): Answer {
  const { faults } = engine;
  const sent = typeof request.prompt === 'string' ? tokenizeText(request.prompt) : request.prompt;
  const prompt = faults.keepsLastTokens === null ? sent : sent.slice(-faults.keepsLastTokens);
  const outcome = run(engine, request, prompt);
  if ('status' in outcome) return outcome;
  const outputIds = outcome.tokens.map(({ id }) => id);
  const showIds = faults.returnsTokenIds && request.return_token_ids === true;
  const name = (id: number): string =>
    request.return_tokens_as_token_ids === true ? `token_id:${id}` : detokenize([id]);
  const wanted = request.logprobs;
  if (request.stream === true) {
    const head = { id: 'cmpl-1', object: 'text_completion', created: 1, model: faults.model };
    const usage = usageOf(engine, prompt.length, outcome, true);
    const piece = (id: number, index: number) => ({
      index: 0,
      text: detokenize([id]),
      finish_reason: index === outputIds.length - 1 ? finishOf(outputIds) : null,
      token_ids: showIds ? [id] : null,
      prompt_token_ids: showIds && index === 0 ? prompt : null,
    });
    return {
      status: 200,
      events: [
        ...outputIds.map((id, index) => ({ ...head, choices: [piece(id, index)] })),
        ...(request.stream_options?.include_usage === true ? [{ ...head, choices: [], usage }] : []),
      ],
    };
  }
  return ok({
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1,
    model: faults.model,
    choices: [
      {
        index: 0,
        text: detokenize(outputIds),
        logprobs:
          faults.givesLogprobs && typeof wanted === 'number'
            ? {
                text_offset: outputIds.map(() => 0),
                tokens: outputIds.map(name),
                token_logprobs: outcome.tokens.map(({ top }) => top[0]?.logprob ?? null),
                top_logprobs: outcome.tokens.map(({ top }) =>
                  Object.fromEntries(top.slice(0, wanted).map(({ id, logprob }) => [name(id), logprob])),
                ),
              }
            : null,
        finish_reason: finishOf(outputIds),
        stop_reason: null,
        token_ids: showIds ? outputIds : null,
        prompt_token_ids: showIds ? prompt : null,
      },
    ],
    usage: usageOf(engine, prompt.length, outcome, false),
    kv_transfer_params: null,
  });
}

function chat(engine: FakeBackEnd, request: z.output<typeof chatBody>): Answer {
  const { faults } = engine;
  if (!faults.seesPictures && request.messages.some(({ content }) => content.includes(placeholder)))
    return refuse(400, `${faults.model} is not a multimodal model`);
  const prompt = render(faults, request);
  const outcome = run(engine, request, prompt);
  if ('status' in outcome) return outcome;
  const outputIds = outcome.tokens.map(({ id }) => id);
  const showIds = faults.returnsTokenIds && request.return_token_ids === true;
  const called = (request.tools ?? []).length > 0 ? (faults.toolCalls[0] ?? []) : [];
  if ((request.tools ?? []).length > 0) faults.toolCalls = faults.toolCalls.slice(1);
  const usage = usageOf(engine, prompt.length, outcome, request.stream === true);
  const head = { id: 'chatcmpl-1', created: 1, model: faults.model };
  if (request.stream !== true) {
    const message = { role: 'assistant', content: detokenize(outputIds) };
    return ok({
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: finishOf(outputIds), token_ids: showIds ? outputIds : null }],
      usage,
      prompt_token_ids: showIds ? prompt : null,
    });
  }
  const chunk = (choices: readonly unknown[], more: object = {}) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices,
    ...more,
  });
  const delta = (id: number, index: number) => ({
    index: 0,
    delta: deltaOf(faults.tellsReasoning, outputIds, index),
    logprobs: null,
    finish_reason: index === outputIds.length - 1 ? finishOf(outputIds) : null,
    token_ids: showIds ? streamedIds(faults.streamedIds, id, index) : null,
  });
  const calls = {
    index: 0,
    delta: {
      tool_calls: called.map((call, index) => ({
        index,
        id: `chatcmpl-tool-${index}`,
        type: 'function',
        function: call,
      })),
    },
    logprobs: null,
    finish_reason: 'tool_calls',
    token_ids: showIds ? outputIds : null,
  };
  return {
    status: 200,
    events: [
      chunk([{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }], {
        prompt_token_ids: showIds ? prompt : null,
      }),
      ...(called.length > 0 ? [chunk([calls])] : []),
      ...(called.length > 0 ? [] : outputIds).map((id, index) => chunk([delta(id, index)])),
      ...(request.stream_options?.include_usage === true ? [chunk([], { usage })] : []),
    ],
  };
}

function streamedIds(lie: FakeBackEnd['faults']['streamedIds'], id: number, index: number): number[] {
  if (lie === 'of another text') return [id === 65 ? 66 : 65];
  return lie !== 'whole' && index % 3 === 2 ? [] : [id];
}

const finishOf = (outputIds: readonly number[]): string => (outputIds.at(-1) === imEnd ? 'stop' : 'length');

const closing = '</think>';

/** The text of one token, told apart as a reasoning parser does: marks are in neither part. */
function deltaOf(tellsReasoning: boolean, outputIds: readonly number[], index: number): object {
  const text = detokenize(outputIds.slice(index, index + 1));
  const end = detokenize(outputIds).indexOf(closing);
  if (!tellsReasoning || end < 0 || index >= end + closing.length) return { content: text };
  return index < '<think>'.length || index >= end ? { content: '' } : { reasoning_content: text };
}
