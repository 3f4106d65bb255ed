import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cachedBy, EngineProcess, promptIds, saidBy, type Completion } from './support/engineProcess.ts';
import { scratch, smallModel, type Scratch } from './support/smallModel.ts';
import { until } from '../support/until.ts';

interface Chunk {
  readonly choices: readonly {
    readonly text?: string;
    readonly delta?: { readonly role?: string; readonly content?: string };
    readonly token_ids: readonly number[];
    readonly prompt_token_ids?: readonly number[] | null;
    readonly finish_reason: string | null;
  }[];
  readonly prompt_token_ids?: readonly number[];
  readonly usage?: Completion['usage'];
}

interface Chat {
  readonly choices: readonly {
    readonly message: { readonly content: string };
    readonly token_ids: readonly number[];
    readonly finish_reason: string;
    readonly logprobs: { readonly content: readonly { readonly token: string; readonly logprob: number }[] } | null;
  }[];
  readonly prompt_token_ids: readonly number[];
  readonly usage: Completion['usage'];
}

describe("the embedded engine's HTTP dialect", () => {
  let folder: Scratch;
  let engine: EngineProcess;

  beforeAll(async () => {
    folder = scratch();
    engine = await EngineProcess.start(`${folder.path}/kv`, '--model', smallModel(folder.path), '--context', '4096');
  });
  afterAll(async () => {
    await engine.abandon();
    folder[Symbol.dispose]();
  });

  const tokenize = async (body: object): Promise<number[]> =>
    (await engine.json<{ tokens: number[] }>('/tokenize', body)).tokens;

  async function stream(path: string, body: object): Promise<Chunk[]> {
    const text = await (await engine.post(path, { ...body, stream: true })).text();
    const events = text.trimEnd().split('\n\n');
    expect(events.at(-1)).toBe('data: [DONE]');
    return events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, '')) as Chunk);
  }

  it('tells what it is', async () => {
    expect((await fetch(`${engine.url}/health`)).status).toBe(200);
    expect(await engine.get('/version')).toMatchObject({ version: expect.stringMatching(/llama\.cpp/) });
    expect(await engine.get('/v1/models')).toMatchObject({
      object: 'list',
      data: [
        {
          id: 'small',
          max_model_len: 4096,
          root: expect.stringContaining('small.gguf'),
          cwm: {
            fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
            blockTokens: 32,
            blockSizeBytes: 32 * 512 + 116,
            hashProfile: { algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' },
          },
        },
      ],
    });
    const metrics = await (await fetch(`${engine.url}/metrics`)).text();
    expect(metrics).toMatch(/vllm:cache_config_info\{.*block_size="32".*prefix_caching_hash_algo="sha256_cbor".*\} 1/);
    expect(await engine.metric('vllm:num_requests_running')).toBe(0);
    expect(await engine.metric('vllm:num_requests_waiting')).toBe(0);
  });

  it.each([
    ['const answer = await fetch(`${url}/health`);\n  if (!answer.ok) throw new Error("no");\n'],
    ['Grüße, 世界! 👋🏽  two  spaces, a tab\t and ... "quotes" isn\'t it ?'],
    ['<|user|>special<|end|>'],
  ])('gives text back as it was: %j', async (text) => {
    const tokens = await tokenize({ prompt: text });
    expect(await engine.json('/detokenize', { tokens })).toEqual({ prompt: text });
  });

  it('takes a prompt as text, as ids, and as a list of one', async () => {
    const text = 'export function main(): void {';
    const ids = await tokenize({ prompt: text });
    const answers = await Promise.all(
      [text, ids, [text], [ids]].map((prompt) => engine.complete(prompt as number[], { cache_salt: 'forms' })),
    );
    expect(answers.map(({ choices }) => choices[0]?.prompt_token_ids)).toEqual([ids, ids, ids, ids]);
    expect(new Set(answers.map((answer) => JSON.stringify(saidBy(answer)))).size).toBe(1);
  });

  it('names tokens by their ids when asked to, since two may read the same', async () => {
    const { choices } = await engine.complete(promptIds(20, 1), { return_tokens_as_token_ids: true, max_tokens: 2 });
    const { token_ids: ids, logprobs } = choices[0] ?? {};
    expect(logprobs?.tokens).toEqual(ids?.map((id) => `token_id:${id}`));
    expect(Object.keys(logprobs?.top_logprobs[0] ?? {})).toContain(`token_id:${ids?.[0]}`);
  });

  it('says words with their log-probabilities, best first, that are probabilities', async () => {
    const { choices } = await engine.complete(promptIds(20, 1), { return_tokens_as_token_ids: false, max_tokens: 4 });
    const { text = '', logprobs } = choices[0] ?? {};
    expect(text).toMatch(/^( [a-z]+){4}$/);
    expect(logprobs?.tokens.join('')).toBe(text);
    logprobs?.top_logprobs.forEach((top, index) => {
      const values = Object.values(top);
      expect(values).toHaveLength(5);
      expect(values.toSorted((a, b) => b - a)).toEqual(values);
      expect(values[0]).toBe(logprobs.token_logprobs[index]);
      expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThan(1);
    });
  });

  it('streams what it answers whole: one chunk a token, the usage last, with no choices', async () => {
    const body = {
      prompt: promptIds(70, 2),
      max_tokens: 6,
      temperature: 0,
      return_token_ids: true,
      cache_salt: 'stream',
    };
    const whole = await engine.json<Completion>('/v1/completions', body);
    const chunks = await stream('/v1/completions', { ...body, stream_options: { include_usage: true } });
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(chunks).toHaveLength(7);
    expect(choices.map(({ text }) => text).join('')).toBe(whole.choices[0]?.text);
    expect(choices.flatMap(({ token_ids }) => token_ids)).toEqual(whole.choices[0]?.token_ids);
    expect(choices.map(({ prompt_token_ids }) => prompt_token_ids ?? null)).toEqual([
      body.prompt,
      null,
      null,
      null,
      null,
      null,
    ]);
    expect(choices.map(({ finish_reason }) => finish_reason)).toEqual([null, null, null, null, null, 'length']);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 70,
        completion_tokens: 6,
        total_tokens: 76,
        prompt_tokens_details: { cached_tokens: 64 },
      },
    });
    expect((await stream('/v1/completions', body)).flatMap(({ usage }) => usage ?? [])).toEqual([]);
  });

  it("streams chats with the prompt's ids in the first chunk", async () => {
    const body = { messages: [{ role: 'user', content: 'Hello.' }], max_tokens: 5, seed: 3, return_token_ids: true };
    const whole = await engine.json<Chat>('/v1/chat/completions', body);
    const chunks = await stream('/v1/chat/completions', { ...body, stream_options: { include_usage: true } });
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(chunks.map(({ prompt_token_ids }) => prompt_token_ids ?? null)).toEqual([
      whole.prompt_token_ids,
      ...Array.from({ length: 5 }, () => null),
    ]);
    expect(choices[0]?.delta?.role).toBe('assistant');
    expect(choices.map(({ delta }) => delta?.content).join('')).toBe(whole.choices[0]?.message.content);
    expect(choices.flatMap(({ token_ids }) => token_ids)).toEqual(whole.choices[0]?.token_ids);
    expect(await tokenize({ messages: body.messages })).toEqual(whole.prompt_token_ids);
  });

  it('gives the log-probabilities of chats by token', async () => {
    const body = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 3, logprobs: true, top_logprobs: 2 };
    const { choices } = await engine.json<Chat>('/v1/chat/completions', body);
    expect(choices[0]?.logprobs?.content.map(({ token }) => token).join('')).toBe(choices[0]?.message.content);
    expect(choices[0]?.logprobs?.content).toMatchObject(Array.from({ length: 3 }, () => ({ top_logprobs: [{}, {}] })));
  });

  it.each([[0], [1], [2.5]])(
    'begins each turn of a chat with exactly the ids of the turns before, at temperature %d',
    async (temperature) => {
      const messages = [
        { role: 'system', content: 'You are  terse.\n' },
        { role: 'user', content: 'function f(a, b) {\n  return a + b;\n}' },
      ];
      let before: number[] = [];
      for (let turn = 0; turn < 4; turn++) {
        const options = { max_tokens: 40, temperature, seed: 11 + turn, return_token_ids: true };
        const answer = await engine.json<Chat>('/v1/chat/completions', { messages, ...options });
        const { message, token_ids = [], finish_reason } = answer.choices[0] ?? {};
        expect(finish_reason).toBe('length');
        expect(answer.prompt_token_ids.slice(0, before.length)).toEqual(before);
        expect(cachedBy(answer as unknown as Completion)).toBeGreaterThanOrEqual(
          Math.floor((before.length - 1) / 32) * 32,
        );
        before = [...answer.prompt_token_ids, ...token_ids];
        // Some clients trim what they show and send that back.
        const content = turn % 2 === 0 ? message?.content : message?.content.trim();
        messages.push({ role: 'assistant', content: content ?? '' }, { role: 'user', content: ` turn ${turn}: go on` });
      }
      expect(before.length).toBeGreaterThan(4 * 40);
    },
  );

  it('draws the same for the same seed, and other tokens for another', async () => {
    const draw = (seed: number): Promise<Completion> =>
      engine.complete(promptIds(10, 3), { temperature: 1, seed, max_tokens: 20 });
    const [first, second, other] = [await draw(1), await draw(1), await draw(2)];
    expect(saidBy(second)).toEqual(saidBy(first));
    expect(saidBy(other)).not.toEqual(saidBy(first));
  });

  it('with a tiny top_p says what it would say at temperature 0', async () => {
    const prompt = promptIds(10, 4);
    const narrow = await engine.complete(prompt, { temperature: 1, top_p: 0.001, seed: 1 });
    expect(narrow.choices[0]?.token_ids).toEqual((await engine.complete(prompt)).choices[0]?.token_ids);
  });

  it('ends at a stop string, and before it', async () => {
    const prompt = promptIds(10, 5);
    const { text = '' } = (await engine.complete(prompt, { max_tokens: 12 })).choices[0] ?? {};
    const stop = text.slice(text.length / 2, text.length / 2 + 4);
    const answer = await engine.complete(prompt, { max_tokens: 12, stop: ['never said', stop] });
    expect(answer.choices[0]).toMatchObject({
      text: text.slice(0, text.indexOf(stop)),
      finish_reason: 'stop',
      stop_reason: stop,
    });
    expect(answer.usage.completion_tokens).toBeLessThan(12);
  });

  it('ends at a stop token, which is counted but not shown', async () => {
    const prompt = promptIds(10, 6);
    const { token_ids: ids = [] } = (await engine.complete(prompt)).choices[0] ?? {};
    const end = ids[3] ?? -1;
    const said = ids.slice(0, ids.indexOf(end) + 1);
    const answer = await engine.complete(prompt, { stop_token_ids: [end] });
    expect(answer.choices[0]).toMatchObject({ token_ids: said, finish_reason: 'stop', stop_reason: end });
    expect(answer.choices[0]?.text.match(/ [a-z]+/g) ?? []).toHaveLength(said.length - 1);
  });

  it.each([
    ['an empty prompt', '/v1/completions', { prompt: '' }],
    ['no ids', '/v1/completions', { prompt: [] }],
    ['no prompt', '/v1/completions', { max_tokens: 1 }],
    ['an id that the model does not have', '/v1/completions', { prompt: [1, 99_999] }],
    ['a negative id', '/v1/completions', { prompt: [-1] }],
    ['half an id', '/v1/completions', { prompt: [1.5] }],
    ['two prompts', '/v1/completions', { prompt: ['a', 'b'] }],
    ['a prompt that is too long', '/v1/completions', { prompt: promptIds(4096, 7), max_tokens: 1 }],
    ['an answer that is too long', '/v1/completions', { prompt: [1], max_tokens: 4096 }],
    ['max_tokens 0', '/v1/completions', { prompt: [1], max_tokens: 0 }],
    ['an empty salt', '/v1/completions', { prompt: [1], cache_salt: '' }],
    ['too many logprobs', '/v1/completions', { prompt: [1], logprobs: 21 }],
    ['a negative temperature', '/v1/completions', { prompt: [1], temperature: -1 }],
    ['echo', '/v1/completions', { prompt: [1], echo: true }],
    ['prompt_logprobs', '/v1/completions', { prompt: [1], prompt_logprobs: 1 }],
    ['n 2', '/v1/completions', { prompt: [1], n: 2 }],
    ['stream options without a stream', '/v1/completions', { prompt: [1], stream_options: { include_usage: true } }],
    ['no messages', '/v1/chat/completions', { messages: [] }],
    ['a picture', '/v1/chat/completions', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }],
    ['neither prompt nor messages', '/tokenize', {}],
    ['ids that are unknown', '/detokenize', { tokens: [99_999] }],
  ])('refuses %s with 400 in the shape of vLLM', async (_, path, body) => {
    const response = await engine.post(path, body);
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: { message: expect.any(String), type: 'BadRequestError', param: null, code: 400 } },
    ]);
  });

  it('names the longest context in the refusal of a longer one', async () => {
    const response = await engine.post('/v1/completions', { prompt: promptIds(5000, 8), max_tokens: 1 });
    expect(await response.text()).toContain('maximum context length is 4096 tokens');
  });

  it('uses the whole context', async () => {
    const answer = await engine.complete(promptIds(4080, 9), { max_tokens: 16 });
    expect(answer.choices[0]?.token_ids).toHaveLength(16);
  });

  it('answers 404 for what it has not, 400 for what is no JSON, 413 for too much', async () => {
    const status = async (path: string, init?: RequestInit): Promise<number> =>
      (await fetch(engine.url + path, init)).status;
    expect(await status('/nowhere')).toBe(404);
    expect(
      await status('/v1/completions', { method: 'POST', body: JSON.stringify({ model: 'other', prompt: 'a' }) }),
    ).toBe(404);
    expect(await status('/v1/completions', { method: 'POST', body: '{"prompt":' })).toBe(400);
    expect(await refusalOfHugeBody(engine.url)).toBe(413);
  });

  it('lets go of a request whose client leaves, in prefill or in a stream, and serves the next', async () => {
    const running = async (): Promise<number> =>
      (await engine.metric('vllm:num_requests_running')) + (await engine.metric('vllm:num_requests_waiting'));
    const aborted = (): Promise<number> => engine.metric('vllm:request_success_total', 'finished_reason="abort"');
    const before = await aborted();
    for (const more of [{}, { stream: true }, { stream: true, prompt: promptIds(10, 12) }]) {
      const leaving = new AbortController();
      const body = {
        prompt: promptIds(3900, 10),
        max_tokens: 190,
        cache_salt: JSON.stringify(more).length.toString(),
        ...more,
      };
      const answer = engine
        .post('/v1/completions', body, { signal: leaving.signal })
        .then((response) => response.text())
        .catch((error: unknown) => error);
      await until('the request to run', async () => (await engine.metric('vllm:num_requests_running')) > 0);
      leaving.abort();
      expect(await answer).toMatchObject({ name: 'AbortError' });
      await until('it to be let go of', async () => (await running()) === 0);
    }
    expect(await aborted()).toBe(before + 3);
    expect((await engine.complete(promptIds(40, 11))).choices[0]?.token_ids).toHaveLength(8);
  });

  it('serves requests one by one, and tokenizes at the same time', async () => {
    const order: number[] = [];
    const requests = [0, 1, 2].map(async (index) => {
      await engine.complete(promptIds(1500, 20 + index), { max_tokens: 2 });
      order.push(index);
    });
    await until('two to wait', async () => (await engine.metric('vllm:num_requests_waiting')) === 2);
    expect(await tokenize({ prompt: 'hello' })).not.toHaveLength(0);
    await Promise.all(requests);
    expect(order).toHaveLength(3);
  });
});

/** Says that a gigabyte will come, and sends none of it. */
function refusalOfHugeBody(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const huge = request(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-length': String(1 << 30) },
    });
    huge.once('response', (response) => {
      resolve(response.statusCode);
      huge.destroy();
    });
    huge.once('error', reject);
    huge.flushHeaders();
  });
}
