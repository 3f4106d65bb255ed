import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { LanguageModelChatToolMode } from 'vscode';
import type { CancellationToken, LanguageModelChatRequestMessage, LanguageModelResponsePart, Memento } from 'vscode';
import type { GatewayAsked } from '../../src/client/backendClient.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { App } from '../../src/vscode/app.ts';
import { rememberChat, sessionOfChat } from '../../src/vscode/chat/chatSessions.ts';
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

const sent: (Omit<GatewayAsked, 'name'> & { readonly path: string; readonly body: Record<string, unknown> })[] = [];
let answer: () => Readable & { statusCode: number; headers: object };
const answering = (statusCode: number, ...pieces: string[]) =>
  Object.assign(Readable.from(pieces.map((piece) => Buffer.from(piece))), { statusCode, headers: {} });

const memento = (): Memento => {
  const values = new Map<string, unknown>();
  return {
    keys: () => [...values.keys()],
    get: <T>(key: string, otherwise?: T) => (values.get(key) as T | undefined) ?? otherwise,
    update: async (key: string, value: unknown) => void values.set(key, value),
  };
};
/** VS Code's own chat names the conversation so to a participant. */
const tokenOf = (chat: string): object => ({
  sessionResource: { scheme: 'vscode-chat-session', path: `/${Buffer.from(chat).toString('base64url')}` },
});

let isServerDown = false;
const app = {
  context: { workspaceState: memento() },
  log: { warn: () => undefined },
  state: {
    current: {
      connection: { kind: 'connected' },
      engine: { kind: 'unasked' } as object,
      project: { kind: 'none' } as object,
    },
  },
  connection: {
    isOpen: true,
    gateway: async (path: string, body: string, how: Omit<GatewayAsked, 'name'>) => {
      sent.push({ path, body: JSON.parse(body) as Record<string, unknown>, ...how });
      return answer();
    },
    call: async (route: string, { engine }: { readonly engine?: string }) => {
      if (isServerDown) throw new CwmError('EngineUnavailable', 'Nobody is there.');
      return route === 'listModels' && engine === 'http://h:1'
        ? {
            engine: 'http://h:1',
            used: 'm',
            models: [
              { id: 'm', use: 'chat' },
              { id: 'bge', use: 'other' },
            ],
          }
        : { engines: [{ spec: 'http://h:1', maxModelLen: 40_000, kind: 'vllm', takesPictures: true }] };
    },
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

async function respond(
  messages: LanguageModelChatRequestMessage[],
  options: object = {},
  parts: LanguageModelResponsePart[] = [],
) {
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

describe('while the model server is down', () => {
  let fresh: ReturnType<typeof languageModels>;
  const offered = async (silent = true) =>
    (await fresh.provideLanguageModelChatInformation({ silent }, token))?.map(({ id }) => id);
  beforeEach(() => {
    fresh = languageModels(app as unknown as App);
    isServerDown = true;
    return () => void (isServerDown = false);
  });

  test.each([true, false])('a model is there all the same, so that @window answers (silent: %s)', async (silent) => {
    expect(await offered(silent)).toEqual(['model-server']);
  });

  test('VS Code waits for no server that is known to be down, or that is not the one of new sessions', async () => {
    const call = vi.spyOn(app.connection, 'call');
    app.state.current.engine = { kind: 'down', status: { spec: 'http://h:1' } };
    expect(await offered()).toEqual(['model-server']);
    expect(call).not.toHaveBeenCalled();
    isServerDown = false;
    // Who opens the list has it asked.
    expect(await offered(false)).toEqual(['m', 'model-server']);
    app.state.current.engine = { kind: 'down', status: { spec: 'http://another:1' } };
    expect(await offered()).toEqual(['m', 'model-server']);
    expect(call.mock.calls.filter(([route]) => route === 'health').map(([, input]) => input)).toEqual([{}, {}]);
    app.state.current.engine = { kind: 'unasked' };
    call.mockRestore();
  });

  test('the models that VS Code knows stay, also while the backend is gone, and are asked for again', async () => {
    isServerDown = false;
    expect(await offered()).toEqual(['m']);
    isServerDown = true;
    expect(await offered()).toEqual(['m']);
    app.connection.isOpen = false;
    expect(await offered()).toEqual(['m']);
    app.connection.isOpen = true;
    isServerDown = false;
    expect(await offered()).toEqual(['m']);
  });

  test('the model that stood for those of the server stays once they are known, with what the server takes', async () => {
    await offered();
    isServerDown = false;
    const [, unasked] = (await fresh.provideLanguageModelChatInformation({ silent: true }, token)) ?? [];
    expect(unasked).toMatchObject({
      id: 'model-server',
      maxInputTokens: 31_808,
      maxOutputTokens: 8192,
      capabilities: { imageInput: true },
    });
  });
});

describe("the session of a conversation in VS Code's chat", () => {
  const ofChat = (chat: string) => sessionOfChat(app.context.workspaceState, tokenOf(chat));
  const sessionOf = (chat: string) => ofChat(chat)?.session;
  const ask = async (session: string | null, modelOptions: object, why?: string) => {
    const headers = { ...(session !== null && { 'x-cwm-session': session }), ...(why && { 'x-cwm-why': why }) };
    answer = () => Object.assign(answering(200, 'data: [DONE]\n\n'), { headers });
    await respond([user(new Text('Hi'))], { modelOptions });
  };

  test('is the one of its last answer; what belongs to no conversation changes nothing, and the server sees no mark of VS Code', async () => {
    await ask('s1', { _conversationId: 'chat-a', _otelTraceContext: null, temperature: 0.5 });
    expect(sent[0]?.body).toMatchObject({ temperature: 0.5 });
    expect(Object.keys(sent[0]?.body ?? {}).filter((name) => name.startsWith('_'))).toEqual([]);
    await ask('s2', { _conversationId: 'chat-b' });
    await ask('s3', {});
    expect([sessionOf('chat-a'), sessionOf('chat-b'), sessionOf('chat-c')]).toEqual(['s1', 's2', undefined]);
    await ask('s4', { _conversationId: 'chat-a' });
    expect([sessionOf('chat-a'), sessionOf('chat-b')]).toEqual(['s4', 's2']);
    for (const token of [undefined, {}, { sessionResource: {} }])
      expect(sessionOfChat(app.context.workspaceState, token)).toBeUndefined();
  });

  test('is known to be the one of another conversation, too, until this one goes on with it', async () => {
    const isElsewhere = () => [ofChat('first')?.isElsewhere, ofChat('fork')?.isElsewhere];
    await ask('same', { _conversationId: 'first' });
    expect(isElsewhere()).toEqual([false, undefined]);
    await ask('same', { _conversationId: 'fork' });
    expect(isElsewhere()).toEqual([true, false]);
    await ask('same', { _conversationId: 'first' });
    expect(isElsewhere()).toEqual([false, true]);
  });

  test('is known with the reason why its last answer is not stored, until one is', async () => {
    const whyNot = { _conversationId: 'why' };
    await ask(null, whyNot, 'full');
    expect(ofChat('why')).toBeUndefined();
    await ask('s1', whyNot);
    await ask(null, whyNot, 'nothing of the project is recorded');
    expect(ofChat('why')).toMatchObject({ session: 's1', whyNot: 'nothing of the project is recorded' });
    // An errand of the chat.
    await ask(null, whyNot);
    await ask('s1', whyNot, 'full');
    expect(ofChat('why')?.whyNot).toBe('full');
    await ask('s1', whyNot);
    expect(ofChat('why')?.whyNot).toBeNull();
  });

  test('stays one of the folder in which it began, whichever editor is in front', async () => {
    const front = (uri: string) => void (app.state.current.project = { kind: 'folder', uri });
    front('file:///a');
    await ask('s1', { _conversationId: 'began-in-a' });
    front('file:///b');
    await ask('s1', { _conversationId: 'began-in-a' });
    await ask('s2', { _conversationId: 'began-in-b' });
    await ask('s3', {});
    expect(sent.map(({ folder }) => folder)).toEqual(['file:///a', 'file:///a', 'file:///b', 'file:///b']);
    app.state.current.project = { kind: 'none' };
  });

  test('is remembered for the hundred conversations that were used last', () => {
    const state = memento();
    for (let chat = 0; chat < 101; chat++) {
      rememberChat(state, `chat-${chat}`, { 'x-cwm-session': `s${chat}` }, null);
      rememberChat(state, 'chat-0', { 'x-cwm-session': 's0' }, null);
    }
    expect([0, 1, 2, 100].map((chat) => sessionOfChat(state, tokenOf(`chat-${chat}`))?.session)).toEqual([
      's0',
      undefined,
      's2',
      's100',
    ]);
  });
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
  const pieces = [bytes.subarray(0, middle), bytes.subarray(middle)];
  answer = () => Object.assign(Readable.from(pieces), { statusCode: 200, headers: {} });
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

test('a call whose arguments are no JSON object is an error that names the tool, and no call of that answer runs', async () => {
  const call = (index: number, written: string) =>
    chunk({ tool_calls: [{ index, id: `c${index}`, function: { name: `tool${index}`, arguments: written } }] });
  const good = call(0, '{"path":"a"}');
  for (const written of ['{"path": a}', '{"path"', '[1]', '"a"']) {
    const parts: LanguageModelResponsePart[] = [];
    answer = () => answering(200, chunk({ content: 'I look.' }), good, call(1, written), 'data: [DONE]\n\n');
    await expect(respond([user(new Text('Hi'))], {}, parts)).rejects.toThrow(
      /calls "tool1" with arguments that are no JSON object.*CWM-5007/s,
    );
    expect(parts).toEqual([new Text('I look.')]);
  }
  // Of a tool that takes nothing.
  answer = () => answering(200, good, call(1, ' '), call(2, 'null'), 'data: [DONE]\n\n');
  expect(await respond([user(new Text('Hi'))])).toEqual([
    new Call('c0', 'tool0', { path: 'a' }),
    new Call('c1', 'tool1', {}),
    new Call('c2', 'tool2', {}),
  ]);
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
