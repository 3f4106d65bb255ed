import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { afterDescribe, chat, failure, never, type Rig } from './rig.ts';

const said = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const hello = said({ role: 'assistant', content: 'Hel' }) + said({ content: 'lo' });
const stop = said({}, { finish_reason: 'stop' });
const done = 'data: [DONE]\n\n';
const usage = { prompt_tokens: 3, completion_tokens: 2 };

/** What a known server answers to a chat, under any content type. */
const saying = (body: string, type = 'text/event-stream'): Promise<Rig> =>
  afterDescribe({ kind: 'body', body, type, path: '/v1/chat' });

describe('forms of an answer', () => {
  test.each([
    ['no end mark', hello + stop],
    ['no reason', hello + done],
    ['an empty reason', hello + said({}, { finish_reason: '' }) + done],
    ['a space behind the end mark', `${hello}${stop}data: [DONE] \n\n`],
    ['an end mark without a blank line', `${hello}${stop}data: [DONE]\n`],
    ['no blank lines', (hello + stop + done).replaceAll('\n\n', '\n')],
    ['CRLF', (hello + stop + done).replaceAll('\n', '\r\n')],
    ['CR', (hello + stop + done).replaceAll('\n', '\r')],
    ['comments and a byte order mark', `\uFEFF: hello\n\n${hello}: ping\n\n${stop}${done}`],
    ['no space behind "data:"', (hello + stop + done).replaceAll('data: ', 'data:')],
    ['events of other kinds', `event: ping\ndata: {"type": "ping"}\n\n${hello}${stop}${done}`],
    ['JSON in lines', (hello + stop).replaceAll('data: ', '').replaceAll('\n\n', '\n')],
    ['one JSON value', JSON.stringify({ choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }], usage })],
    [
      'one JSON value over many lines',
      JSON.stringify({ choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }], usage }, null, 2),
    ],
    ['null before the text', said({ role: 'assistant', content: null }) + hello + stop + done],
    [
      'parts',
      said({
        content: [
          { type: 'text', text: 'Hel' },
          { type: 'text', text: 'lo' },
        ],
      }) +
        stop +
        done,
    ],
    ['no role and no index', `data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n${stop}${done}`],
    [
      'the usage first, and beside the text',
      `data: ${JSON.stringify({ choices: [], usage })}\n\n${hello}${stop}${done}`,
    ],
    ['a usage without choices', `${hello}${stop}data: ${JSON.stringify({ usage })}\n\n${done}`],
    [
      'fields of another form',
      `${said({ content: 'Hello', tool_calls: 'none' }, { token_ids: 'x', logprobs: 3 })}${stop}${done}`,
    ],
    ['values that hold nothing', `data: null\n\ndata: 7\n\ndata: []\n\ndata: true\n\n${hello}${stop}${done}`],
    ['null for the choices', `data: {"choices": null}\n\n${hello}${stop}${done}`],
    ['a second choice', `${hello}${said({ content: '!' }, { index: 1 })}${stop}${done}`],
  ])('K2 %s: the answer is whole', async (_, body) => {
    for (const type of ['text/event-stream', 'application/json', 'text/html; charset=utf-8']) {
      const heard: string[] = [];
      const { text, finishReason } = await chat(await saying(body, type), ({ text }) => text && heard.push(text));
      expect(text).toBe('Hello');
      expect(heard.join('')).toBe('Hello');
      expect(finishReason).toBe('stop');
    }
  });

  test('K2 every word for "cut at the limit" is "length"', async () => {
    for (const reason of ['length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens', 'model_length', 'limit']) {
      const rig = await saying(hello + said({}, { finish_reason: reason }) + done);
      expect((await chat(rig)).finishReason).toBe('length');
    }
    expect((await chat(await saying(hello + said({}, { finish_reason: 'eos_token' }) + done))).finishReason).toBe(
      'eos_token',
    );
  });

  test('K2 a stream that breaks off in the middle of an event is no answer', async () => {
    expect(await failure(chat(await saying(`${hello}data: {"choices": [{"del`)))).toMatchObject({ code: 'CWM-5101' });
  });

  test('K5 reasoning is separated from the answer, whatever its field is called', async () => {
    for (const thought of [
      said({ reasoning_content: 'Hm' }),
      said({ reasoning: 'Hm', content: null }),
      said({ reasoning: { text: 'Hm' } }),
      said({ thinking: 'Hm', content: '' }),
      said({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] }] }),
    ]) {
      expect(await chat(await saying(thought + hello + stop + done)), thought).toMatchObject({
        text: 'Hello',
        reasoning: 'Hm',
      });
    }
  });

  test('K10 half of a surrogate pair in an answer becomes a character that can be sent again', async () => {
    expect((await chat(await saying(`${said({ content: 'a\ud83d' })}${stop}${done}`))).text).toBe('a\uFFFD');
    const halves = said({ content: '\ud83d' }) + said({ content: '\ude00' });
    expect((await chat(await saying(halves + stop + done))).text).toBe('\u{1F600}');
  });
});

describe('errors in any form', () => {
  test.each([
    ['event: error\ndata: {"error": {"message": "the model has crashed"}}\n\n'],
    ['data: {"error": "the model has crashed"}\n\n'],
    ['data: {"object": "error", "message": "the model has crashed", "code": 500}\n\n'],
    ['event: error\ndata: {"code": 500, "details": "the model has crashed"}\n\n'],
    ['event: error\ndata: the model has crashed\n\n'],
    ['data: {"detail": "the model has crashed"}\n\n'],
    ['data: {"choices": [{"delta": {}, "finish_reason": "error"}], "error": {"message": "the model has crashed"}}\n\n'],
    ['{"error": "the model has crashed"}'],
    ['{"message": "the model has crashed"}'],
    ['<html><head><title>the model has crashed</title></head></html>'],
    ['the model has crashed'],
  ])('K3 after a success status, the reason reaches the user: %j', async (body) => {
    for (const before of body.startsWith('data') || body.startsWith('event') ? ['', hello] : ['']) {
      const error = await failure(chat(await saying(before + body + (before && done))));
      expect(error.message).toContain('the model has crashed');
      expect(error.code).toBe('CWM-5004');
    }
  });

  test('K3 the code inside decides what it means', async () => {
    const rig = await saying('data: {"error": {"message": "No such key.", "code": 401}}\n\n');
    expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5006' });
  });
});

type Handler = (path: string, body: Record<string, unknown>) => { readonly status: number; readonly json: unknown };

/** A server that is not vLLM, by what it answers. */
async function otherServer(handle: Handler): Promise<{ engine: VllmEngine; sent: Record<string, unknown>[] }> {
  const sent: Record<string, unknown>[] = [];
  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    if (request.url?.startsWith('/v1/chat')) sent.push(body);
    const { status, json } = handle(request.url ?? '', body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  };
  const server = createServer((request, response) => void onRequest(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = new VllmEngine({ spec: url, connect: async () => ({ url }), sleep: async () => undefined });
  onTestFinished(async () => {
    await engine.close();
    server.closeAllConnections();
    server.close();
  });
  return { engine, sent };
}

const models = (owner: string) => ({ status: 200, json: { object: 'list', data: [{ id: 'm', owned_by: owner }] } });
const whole = { status: 200, json: { choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }], usage } };
const notFound = { status: 404, json: { detail: 'Not Found' } };
const ask = (engine: VllmEngine, more: object = {}) =>
  engine.generate(
    {
      messages: [{ role: 'user', content: 'Hello there' }],
      salt: 's',
      maxTokens: 8,
      temperature: 0,
      addGenerationPrompt: true,
      ...more,
    },
    () => undefined,
    never,
  );

describe('fields that a server refuses', () => {
  test('K2 a server that is not vLLM never gets fields that only vLLM knows', async () => {
    const { engine, sent } = await otherServer((path) =>
      path === '/v1/models' ? models('library') : path.startsWith('/v1/chat') ? whole : notFound,
    );
    expect((await ask(engine)).text).toBe('Hello');
    expect(Object.keys(sent[0] ?? {}).sort()).toEqual([
      'max_tokens',
      'messages',
      'model',
      'stream',
      'stream_options',
      'temperature',
    ]);
  });

  test.each([
    ['named', 400, (extra: string[]) => ({ error: { message: `Unknown fields: ${extra.join(', ')}` } })],
    ['named one at a time', 400, (extra: string[]) => ({ error: `Unrecognized request argument: ${extra[0]}` })],
    [
      'in FastAPI form',
      422,
      (extra: string[]) => ({
        detail: extra.map((name) => ({ loc: ['body', name], msg: 'Extra inputs are not permitted' })),
      }),
    ],
    ['not named', 400, () => ({ message: 'Bad Request' })],
  ])('K2 fields that are refused, %s, are left out, and not sent to this server again', async (_, status, refusal) => {
    const known = new Set(['model', 'messages', 'max_tokens', 'temperature', 'stream']);
    const { engine, sent } = await otherServer((path, body) => {
      if (path === '/v1/models') return models('vllm');
      if (!path.startsWith('/v1/chat')) return notFound;
      const extra = Object.keys(body).filter((name) => !known.has(name));
      return extra.length > 0 ? { status, json: refusal(extra) } : whole;
    });
    expect((await ask(engine)).text).toBe('Hello');
    const tries = sent.length;
    expect((await ask(engine)).text).toBe('Hello');
    expect(sent).toHaveLength(tries + 1);
  });

  test('K2 max_completion_tokens takes the place of max_tokens, and a temperature that is not supported is left out', async () => {
    const { engine, sent } = await otherServer((path, body) => {
      if (path === '/v1/models') return models('openai');
      if (!path.startsWith('/v1/chat')) return notFound;
      if ('max_tokens' in body)
        return {
          status: 400,
          json: { error: { message: "'max_tokens' is not supported: use 'max_completion_tokens'." } },
        };
      if ('temperature' in body)
        return { status: 400, json: { error: { message: "Unsupported value: 'temperature' does not support 0." } } };
      return whole;
    });
    expect((await ask(engine)).text).toBe('Hello');
    expect(sent.at(-1)).toMatchObject({ max_completion_tokens: 8 });
  });

  test('K3 what is refused for another reason is refused in the server’s words', async () => {
    const { engine } = await otherServer((path) =>
      path === '/v1/models' ? models('library') : { status: 400, json: { error: '"m" does not support chat' } },
    );
    expect((await failure(ask(engine))).message).toContain('"m" does not support chat');
  });

  test('K2 a prompt that ends with an answer is computed without it where the server refuses to continue an answer', async () => {
    const { engine, sent } = await otherServer((path, body) => {
      if (path === '/v1/models') return models('llamacpp');
      if (!path.startsWith('/v1/chat')) return notFound;
      const last = (body['messages'] as { role: string }[]).at(-1);
      return last?.role === 'assistant' ? { status: 400, json: { error: 'prefill is incompatible' } } : whole;
    });
    const messages = [
      { role: 'user', content: 'These files' },
      { role: 'assistant', content: 'Understood.' },
    ] as const;
    await ask(engine, { messages, addGenerationPrompt: false });
    expect(sent.at(-1)?.['messages']).toEqual(messages.slice(0, 1));
  });
});

describe('what the server counts', () => {
  test('K5 an answer is asked for in the room that is left', async () => {
    const { engine, sent } = await otherServer((path, body) => {
      if (path === '/v1/models') return models('library');
      if (!path.startsWith('/v1/chat')) return notFound;
      if (Number(body['max_tokens']) <= 5) return whole;
      const message =
        "This model's maximum context length is 100 tokens. However, you requested 8 output tokens and your prompt contains at least 95 input tokens.";
      return { status: 400, json: { error: { message, param: 'input_tokens' } } };
    });
    await ask(engine);
    expect(sent.map((body) => body['max_tokens'])).toEqual([8, 5]);
  });

  test('K5 a prompt that the server cut without a word is found by its own count', async () => {
    const { engine } = await otherServer((path) =>
      path === '/v1/models' ? models('library') : path.startsWith('/v1/chat') ? whole : notFound,
    );
    const content = 'word '.repeat(900);
    const { cut } = await ask(engine, { messages: [{ role: 'user', content }] });
    expect(cut).toEqual({ countedTokens: 3, sentTokens: 900 });
    expect((await ask(engine)).cut).toBeNull();
  });

  test('K5 ids are exact only where all of them came: fewer than the server counts are worked out, or none', async () => {
    const half = said({ content: 'Hel' }, { token_ids: [1] }) + said({ content: 'lo' }) + stop + done;
    const fewer =
      said({ content: 'Hello' }, { token_ids: [1] }) +
      stop +
      `data: ${JSON.stringify({ choices: [], usage: { completion_tokens: 2 } })}\n\n${done}`;
    for (const body of [half, fewer]) expect((await chat(await saying(body))).idsSource).toBe('tokenize');
  });

  test('K1 no failure to get ids costs the answer', async () => {
    for (const answer of [
      { status: 200, json: { error: 'Unexpected endpoint' } },
      { status: 200, json: { tokens: null } },
      { status: 500, json: {} },
      { status: 403, json: { error: 'Forbidden' } },
    ]) {
      const { engine } = await otherServer((path) =>
        path === '/v1/models' ? models('library') : path.startsWith('/v1/chat') ? whole : answer,
      );
      expect(await ask(engine)).toMatchObject({ text: 'Hello', promptIds: [], outputIds: [] });
    }
  });
});
