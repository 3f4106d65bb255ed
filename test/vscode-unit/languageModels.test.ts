import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { LanguageModelChatToolMode } from 'vscode';
import type { CancellationToken, LanguageModelChatRequestMessage, LanguageModelResponsePart } from 'vscode';
import type { App } from '../../src/vscode/app.ts';
import { informationOf, languageModels } from '../../src/vscode/chat/languageModels.ts';

const { Call, Data, Failure, Result, Text } = vi.hoisted(() => {
  class Text {
    value: string;
    constructor(value: string) {
      this.value = value;
    }
  }
  class Call {
    callId: string;
    name: string;
    input: object;
    constructor(...given: [string, string, object]) {
      [this.callId, this.name, this.input] = given;
    }
  }
  class Result {
    callId: string;
    content: unknown[];
    constructor(callId: string, content: unknown[]) {
      this.callId = callId;
      this.content = content;
    }
  }
  class Data {
    data: Uint8Array;
    mimeType: string;
    constructor(data: Uint8Array, mimeType: string) {
      this.data = data;
      this.mimeType = mimeType;
    }
    static json(value: unknown, mimeType: string): object {
      return { value, mimeType };
    }
  }
  class Failure extends Error {
    static NotFound(message: string): Error {
      return Object.assign(new Failure(message), { code: 'NotFound' });
    }
  }
  return { Call, Data, Failure, Result, Text };
});

vi.mock('vscode', () => ({
  LanguageModelTextPart: Text,
  LanguageModelToolCallPart: Call,
  LanguageModelToolResultPart: Result,
  LanguageModelDataPart: Data,
  LanguageModelError: Failure,
  LanguageModelChatToolMode: { Auto: 1, Required: 2 },
  workspace: { getConfiguration: () => ({ get: () => 'http://h:1' }) },
}));

const stored = vi.hoisted(() => ({ something: false }));
vi.mock('../../src/vscode/following/wakeUp.ts', () => ({ somethingIsStored: async () => stored.something }));

const sent: { path: string; body: Record<string, unknown>; engine: string; signal: AbortSignal }[] = [];
let answer: () => Readable & { statusCode?: number };
const answering = (statusCode: number, ...pieces: string[]) =>
  Object.assign(Readable.from(pieces.map((piece) => Buffer.from(piece))), { statusCode });

const app = {
  context: {},
  state: { current: { connection: { kind: 'connected' } } },
  connection: {
    isOpen: true,
    gateway: async (path: string, body: string, engine: string, signal: AbortSignal) => {
      sent.push({ path, body: JSON.parse(body) as Record<string, unknown>, engine, signal });
      return answer();
    },
    call: async (route: string, { engine }: { readonly engine?: string }) =>
      route === 'listModels' && engine === 'http://h:1'
        ? {
            engine: 'http://h:1',
            used: 'm',
            models: [
              { id: 'm', use: 'chat' },
              { id: 'bge', use: 'other' },
            ],
          }
        : { engines: [{ spec: 'http://h:1', maxModelLen: 40_000, kind: 'vllm' }] },
  },
};
const models = languageModels(app as unknown as App);
const token: CancellationToken = {
  isCancellationRequested: false,
  onCancellationRequested: () => ({ dispose: () => undefined }),
};
const information = informationOf('m', { maxModelLen: 4096, kind: 'vllm' });
const user = (...content: unknown[]) => ({ role: 1, content }) as unknown as LanguageModelChatRequestMessage;
const chunk = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta }], ...more })}\n\n`;

async function respond(messages: LanguageModelChatRequestMessage[], options: object = {}) {
  const parts: LanguageModelResponsePart[] = [];
  const progress = { report: (part: LanguageModelResponsePart) => void parts.push(part) };
  await models.provideLanguageModelChatResponse(
    information,
    messages,
    { toolMode: LanguageModelChatToolMode.Auto, ...options },
    progress,
    token,
  );
  return parts;
}

beforeEach(() => {
  sent.length = 0;
  answer = () => answering(200, 'data: [DONE]\n\n');
});

test('the models of the server are offered with a context that input and output fill together; others are not', async () => {
  expect(await models.provideLanguageModelChatInformation({ silent: true }, token)).toMatchObject([
    { id: 'm', maxInputTokens: 31_808, maxOutputTokens: 8192, capabilities: { toolCalling: true } },
  ]);
  expect(informationOf('m')).toMatchObject({ maxInputTokens: 6144, maxOutputTokens: 2048 });
});

describe('before a backend is connected', () => {
  let fresh: ReturnType<typeof languageModels>;
  const offered = async (silent = true) =>
    (await fresh.provideLanguageModelChatInformation({ silent }, token))?.map(({ id }) => id);
  const connection = (kind: string, isOpen: boolean): void => {
    app.connection.isOpen = isOpen;
    app.state.current.connection.kind = kind;
  };
  beforeEach(() => {
    stored.something = false;
    fresh = languageModels(app as unknown as App);
    connection('idle', false);
    return () => connection('connected', true);
  });

  test('a fresh profile has a model to pick, and listing it starts nothing', async () => {
    const call = vi.spyOn(app.connection, 'call');
    expect(await offered()).toEqual(['model-server']);
    expect(call).not.toHaveBeenCalled();
    call.mockRestore();
    // The start of the backend, for @window: the model that VS Code sends with is there until others are.
    stored.something = true;
    connection('starting', false);
    expect(await offered()).toEqual(['model-server']);
    connection('connected', true);
    // A conversation may have it by now, as after a message to @window, which asks no model.
    expect(await offered()).toEqual(['m', 'model-server']);
  });

  test('its first message goes to the model that the server uses, and it stays for the rest of the conversation', async () => {
    const [model] = (await fresh.provideLanguageModelChatInformation({ silent: true }, token)) ?? [];
    if (!model) throw new Error('none');
    const progress = { report: () => undefined };
    const options = { toolMode: LanguageModelChatToolMode.Auto };
    const answered = fresh.provideLanguageModelChatResponse(model, [user(new Text('Hi'))], options, progress, token);
    connection('connected', true);
    expect(await offered()).toEqual(['m', 'model-server']);
    await answered;
    expect(sent[0]?.body['model']).toBe('m');
  });

  test('who opens the list of models starts the backend, and sees those of the server', async () => {
    expect(await offered(false)).toEqual(['m']);
  });

  test('where something is stored, the models follow with the connection; where that fails, a message can say why', async () => {
    stored.something = true;
    expect(await offered()).toEqual([]);
    connection('starting', false);
    expect(await offered()).toEqual([]);
    connection('failed', false);
    expect(await offered()).toEqual(['model-server']);
  });
});

test('a model takes images where its server says so', () => {
  const takes = (takesPictures?: boolean) =>
    informationOf('m', takesPictures === undefined ? {} : { takesPictures }).capabilities.imageInput;
  expect([takes(true), takes(false), takes()]).toEqual([true, false, false]);
});

test('a conversation goes to the gateway as chat completions, with tools, their results and images', async () => {
  const system = { role: 3, content: [new Text('Be brief.')] } as unknown as LanguageModelChatRequestMessage;
  const called = { role: 2, content: [new Text('I look.'), new Call('c1', 'read', { path: 'a' })] };
  const picture = new Data(Buffer.from('png'), 'image/png');
  await respond(
    [
      system,
      user(new Text('Look.'), picture),
      called as unknown as LanguageModelChatRequestMessage,
      user(new Result('c1', [new Text('found')]), new Text('And?')),
    ],
    { tools: [{ name: 'read', description: 'Reads.', inputSchema: { type: 'object' } }], toolMode: 2 },
  );
  expect(sent[0]?.path).toBe('/v1/chat/completions');
  expect(sent[0]?.body).toEqual({
    max_tokens: 1024,
    model: 'm',
    messages: [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Look.' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,cG5n' } },
        ],
      },
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'read', arguments: '{"path":"a"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'found' },
      { role: 'user', content: 'And?' },
    ],
    tools: [{ type: 'function', function: { name: 'read', description: 'Reads.', parameters: { type: 'object' } } }],
    tool_choice: 'required',
    stream: true,
    stream_options: { include_usage: true },
  });
});

test('the answer comes as it is written, its calls whole, and its usage last', async () => {
  const usage = { prompt_tokens: 20, prompt_tokens_details: { cached_tokens: 16 } };
  const whole = [
    ': cwm restores\n\n',
    chunk({ content: 'Grüße' }),
    chunk({ tool_calls: [{ index: 0, id: 'c1', function: { name: 'read', arguments: '{"pa' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: 'th":"a"}' } }] }),
    `data: ${JSON.stringify({ choices: [], usage })}\n\n`,
    'data: [DONE]\n\n',
  ].join('');
  const bytes = Buffer.from(whole);
  // A piece may end in the middle of a character.
  const middle = bytes.indexOf('ü') + 1;
  answer = () => Object.assign(Readable.from([bytes.subarray(0, middle), bytes.subarray(middle)]), { statusCode: 200 });
  expect(await respond([user(new Text('Hi'))])).toEqual([
    new Text('Grüße'),
    { value: usage, mimeType: 'usage' },
    new Call('c1', 'read', { path: 'a' }),
  ]);
});

test("a refusal has the server's own words, and a stream that fails in the middle is no answer", async () => {
  answer = () => answering(404, '{"error":{"message":"No model m."}}');
  await expect(respond([user(new Text('Hi'))])).rejects.toMatchObject({ message: 'No model m.', code: 'NotFound' });
  answer = () => answering(502, '<html>');
  await expect(respond([user(new Text('Hi'))])).rejects.toThrow('502');
  answer = () => answering(200, chunk({ content: 'a' }), 'data: {"error":{"message":"It broke."}}\n\n');
  await expect(respond([user(new Text('Hi'))])).rejects.toThrow('It broke.');
});

test('an answer that was cut at its longest length says so, and none of its calls runs', async () => {
  const call = { index: 0, id: 'c1', function: { name: 'write', arguments: '{"path": "a' } };
  const end = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'length' }] })}\n\n`;
  for (const delta of [{ content: 'So' }, { tool_calls: [call] }]) {
    answer = () => answering(200, chunk(delta), end, 'data: [DONE]\n\n');
    await expect(respond([user(new Text('Hi'))])).rejects.toThrow('The answer reached its maximum length');
  }
  // An extension that names the length wants a text of that length; a call with half its arguments nobody wants.
  const named = { modelOptions: { max_tokens: 1 } };
  await expect(respond([user(new Text('Hi'))], named)).rejects.toThrow('The answer reached its maximum length');
  answer = () => answering(200, chunk({ content: 'So' }), end, 'data: [DONE]\n\n');
  expect(await respond([user(new Text('Hi'))], named)).toEqual([new Text('So')]);
});

test('a cancelled chat ends the request at the model server', async () => {
  let cancel = (): void => undefined;
  const cancellable: CancellationToken = {
    isCancellationRequested: false,
    onCancellationRequested: (listener) => {
      cancel = () => listener(undefined);
      return { dispose: () => undefined };
    },
  };
  answer = () => {
    cancel();
    return answering(200);
  };
  const progress = { report: () => undefined };
  await Promise.resolve(
    models.provideLanguageModelChatResponse(
      information,
      [],
      { toolMode: LanguageModelChatToolMode.Auto },
      progress,
      cancellable,
    ),
  ).catch(() => undefined);
  expect(sent[0]?.signal.aborted).toBe(true);
});

test('tokens are counted by the model server, once for each text; where it does not count, they are estimated', async () => {
  answer = () => answering(200, '{"input_tokens":7}');
  expect(await models.provideTokenCount(information, 'How many?', token)).toBe(7);
  expect(await models.provideTokenCount(information, 'How many?', token)).toBe(7);
  expect(sent.map(({ path, engine }) => [path, engine])).toEqual([['/v1/messages/count_tokens', 'http://h:1']]);
  answer = () => answering(501, '{}');
  expect(await models.provideTokenCount(information, 'And this?', token)).toBeGreaterThan(1);
});

test('what a tool is asked and what it answers are counted, and what the model server refuses to count is asked once', async () => {
  answer = () => answering(200, '{"input_tokens":9}');
  const call = user(new Text('I write.'), new Call('c1', 'write', { path: 'a.ts', text: 'x' }));
  await models.provideTokenCount(information, call, token);
  await models.provideTokenCount(information, user(new Result('c1', [new Text('done')])), token);
  expect(sent.map(({ body }) => body['messages'])).toEqual([
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'I write.' },
          { type: 'tool_use', id: 'c1', name: 'write', input: { path: 'a.ts', text: 'x' } },
        ],
      },
    ],
    [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 'done' }] }],
  ]);
  sent.length = 0;
  const failing = (message: string) => () => answering(502, JSON.stringify({ type: 'error', error: { message } }));
  answer = failing('The model server does not count the tokens of this request.');
  await models.provideTokenCount(information, 'Refused', token);
  await models.provideTokenCount(information, 'Refused', token);
  expect(sent).toHaveLength(1);
  answer = failing('The model server cannot be reached.');
  await models.provideTokenCount(information, 'Not there', token);
  await models.provideTokenCount(information, 'Not there', token);
  expect(sent).toHaveLength(3);
});
