import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { gatewayFixture, type GatewayFixture, type Passed } from './gatewayFixture.ts';

const json = (res: ServerResponse, status: number, body: object | string): void => {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(typeof body === 'string' ? body : JSON.stringify(body));
};

const event = (type: string, fields: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

const stream = (res: ServerResponse, events: readonly string[]): void => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const each of events) res.write(each);
  res.end();
};

/** Thinking with a signature, a text and a call of a tool, as vLLM writes them. */
const thoughtful = [
  event('message_start', {
    message: {
      id: 'chatcmpl-1',
      type: 'message',
      role: 'assistant',
      content: [],
      model: 'm',
      usage: { input_tokens: 20, output_tokens: 0 },
    },
  }),
  'event: ping\ndata: {"type": "ping"}\n\n',
  event('content_block_start', { index: 0, content_block: { type: 'thinking', thinking: '' } }),
  event('content_block_delta', { index: 0, delta: { type: 'thinking_delta', thinking: 'Let me ' } }),
  event('content_block_delta', { index: 0, delta: { type: 'thinking_delta', thinking: 'think.' } }),
  event('content_block_delta', { index: 0, delta: { type: 'signature_delta', signature: 'c0ffee' } }),
  event('content_block_stop', { index: 0 }),
  event('content_block_start', { index: 1, content_block: { type: 'text', text: '' } }),
  event('content_block_delta', { index: 1, delta: { type: 'text_delta', text: 'I will ' } }),
  event('content_block_delta', { index: 1, delta: { type: 'text_delta', text: 'read. é' } }),
  event('content_block_stop', { index: 1 }),
  event('content_block_start', {
    index: 2,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'read', input: {} },
  }),
  event('content_block_delta', { index: 2, delta: { type: 'input_json_delta', partial_json: '{"path": ' } }),
  event('content_block_delta', { index: 2, delta: { type: 'input_json_delta', partial_json: '"a.txt"}' } }),
  event('content_block_stop', { index: 2 }),
  event('message_delta', {
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { input_tokens: 4, cache_read_input_tokens: 16, output_tokens: 9 },
  }),
  event('message_stop', {}),
];

const saysText = (text: string): readonly string[] => [
  event('message_start', {
    message: {
      id: 'x',
      type: 'message',
      role: 'assistant',
      content: [],
      model: 'm',
      usage: { input_tokens: 30, cache_read_input_tokens: 0, output_tokens: 0 },
    },
  }),
  event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  event('content_block_stop', { index: 0 }),
  event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } }),
  event('message_stop', {}),
];

/** What llama-server streams of Responses, which numbers no parts. */
const llamaResponse = (id: string, text: string): readonly string[] => [
  event('response.created', { response: { id, object: 'response', status: 'in_progress' } }),
  event('response.output_item.added', {
    item: { content: [], id: `msg_${id}`, role: 'assistant', status: 'in_progress', type: 'message' },
  }),
  event('response.output_text.delta', { item_id: `msg_${id}`, delta: text.slice(0, 3) }),
  event('response.output_text.delta', { item_id: `msg_${id}`, delta: text.slice(3) }),
  event('response.output_item.done', { item: messageOf(id, text) }),
  event('response.completed', {
    response: {
      id,
      object: 'response',
      status: 'completed',
      model: 'm',
      output: [messageOf(id, text)],
      usage: { input_tokens: 26, output_tokens: 8, total_tokens: 34, input_tokens_details: { cached_tokens: 21 } },
    },
  }),
];

const messageOf = (id: string, text: string): object => ({
  type: 'message',
  id: `msg_${id}`,
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
});

/** Refuses what is no request, as a server does that has the route. */
const served =
  (path: string, answer: (passed: Passed, res: ServerResponse) => void) =>
  (passed: Passed, res: ServerResponse): void => {
    if (passed.path.split('?')[0] !== path) return json(res, 404, { error: { message: 'File Not Found' } });
    if (passed.text === '{}') return json(res, 400, { error: { message: "'messages' is required" } });
    answer(passed, res);
  };

/** A gateway before a server of no kind that it knows, which has the route. */
async function foreign(path: string, answer: (passed: Passed, res: ServerResponse) => void): Promise<GatewayFixture> {
  const gateway = await gatewayFixture();
  gateway.engine.kind = 'openai';
  gateway.server.answer = served(path, answer);
  return gateway;
}

const withoutComments = (text: string): string => text.replaceAll(/^: .*\n\n/gm, '');

const ask = { model: 'm', max_tokens: 64, stream: true };
const said = (gateway: GatewayFixture) => gateway.sessions().then((all) => all.map((each) => each.said));

describe('Messages at a server that has them', () => {
  const turn = async (gateway: GatewayFixture, messages: readonly object[]) => {
    await (await gateway.post('/v1/messages', { ...ask, messages })).text();
    await gateway.settled();
  };

  test("a call of the server's own tool is recorded with its input, and the next turn belongs to the same session", async () => {
    const [start, ...rest] = saysText('Found.');
    const call = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} };
    const delta = { type: 'input_json_delta', partial_json: '{"query":"x"}' };
    const result = { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] };
    const called = [
      event('content_block_start', { index: 3, content_block: call }),
      event('content_block_delta', { index: 3, delta }),
      event('content_block_start', { index: 4, content_block: result }),
    ];
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, [start!, ...called, ...rest]));
    const question = { role: 'user', content: 'Search' };
    await turn(gateway, [question]);
    const content = [{ type: 'text', text: 'Found.' }, { ...call, input: { query: 'x' } }, result];
    await turn(gateway, [question, { role: 'assistant', content }, { role: 'user', content: 'And?' }]);
    expect(await said(gateway)).toMatchObject([[{ text: 'Search' }, {}, { text: 'And?' }, {}]]);
  });

  test('S1-20 a picture and a file are stored, and what chat completions have no form for has a line', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, saysText('Hi.')));
    const source = (kind: string): object => ({ type: 'base64', media_type: kind, data: 'AAAA' });
    const content = [
      { type: 'container_upload', file_id: 'f1' },
      { type: 'document', source: source('application/pdf') },
      { type: 'text', text: 'Look' },
      { type: 'image', source: source('image/png') },
    ];
    await turn(gateway, [{ role: 'user', content }]);
    expect(await said(gateway)).toMatchObject([
      [
        {
          text: 'Look\n[container_upload]',
          parts: [
            { type: 'file', mediaType: 'application/pdf', sizeBytes: 3, at: 0 },
            { type: 'image', mediaType: 'image/png', sizeBytes: 3, at: 4 },
          ],
        },
        {},
      ],
    ]);
  });

  const tools = [{ name: 'read', input_schema: { type: 'object' } }];
  const first = { ...ask, tools, messages: [{ role: 'user', content: 'Read it' }] };

  test('what the client wrote arrives byte for byte, and so does what the server answers', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, thoughtful));
    const text = `{ "hologram":1.0, "messages": [{"role":"user","content":[{"type":"hologram","data":"☃"}, {"type":"text","text":"Read it","cache_control":{"type":"ephemeral"}}]}],\n"model":"m","max_tokens":64,"stream":true,"thinking":{"type":"adaptive"}}`;
    const answer = await gateway.post('/v1/messages?beta=true', text, { 'anthropic-beta': 'x' });
    const passed = await answer.text();
    expect(withoutComments(passed)).toBe(thoughtful.join(''));
    expect(passed).toContain(': cwm reused 16 of 20 prompt tokens');
    const [, sent] = gateway.passed;
    expect(sent).toMatchObject({ path: '/v1/messages?beta=true', text, headers: { 'anthropic-beta': 'x' } });
    expect(answer.headers.get('x-cwm-recorded')).toBe('yes');
  });

  test('the answer is recorded with its thoughts and calls, and the next turn belongs to the same session', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, thoughtful));
    await (await gateway.post('/v1/messages', first)).text();
    await gateway.settled();
    gateway.server.answer = served('/v1/messages', (_, res) => stream(res, saysText('Red.')));
    const messages = [
      ...first.messages,
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Let me think.', signature: 'c0ffee' },
          { type: 'text', text: 'I will read. é' },
          { type: 'tool_use', id: 'toolu_1', name: 'read', input: { path: 'a.txt' } },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'It is red.' }] },
    ];
    await (await gateway.post('/v1/messages', { ...first, messages })).text();
    expect(await said(gateway)).toMatchObject([
      [
        { role: 'user', text: 'Read it' },
        {
          type: 'tool-calls',
          text: 'I will read. é',
          reasoning: 'Let me think.',
          calls: [{ id: 'toolu_1', name: 'read', arguments: '{"path": "a.txt"}' }],
        },
        { type: 'tool-result', name: 'read', text: 'It is red.' },
        { role: 'assistant', text: 'Red.' },
      ],
    ]);
    expect(gateway.clients().items[0]).toMatchObject({ promptTokens: 50, cachedTokens: 16 });
  });

  test('the server is asked once whether it has the route, and again when it may be another one', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, saysText('Hi.')));
    for (let at = 0; at < 3; at++) await (await gateway.post('/v1/messages', first)).text();
    const asked = (): number => gateway.passed.filter(({ text }) => text === '{}').length;
    expect([asked(), gateway.passed.length]).toEqual([1, 4]);
    gateway.server.answer = (_, res) => json(res, 503, { error: { message: 'I start.' } });
    expect((await gateway.post('/v1/messages', first)).status).toBe(503);
    gateway.server.answer = served('/v1/messages', (_, res) => stream(res, saysText('Hi.')));
    await (await gateway.post('/v1/messages', first)).text();
    expect(asked()).toBe(2);
  });

  test.each([404, 405, 501])('a server without the route (%i) is asked in chat completions', async (status) => {
    const gateway = await gatewayFixture();
    gateway.engine.kind = 'openai';
    const usual = gateway.server.answer;
    gateway.server.answer = (passed, res) =>
      passed.path === '/v1/chat/completions' ? void usual(passed, res) : json(res, status, {});
    expect(await (await gateway.post('/v1/messages', first)).text()).toContain('Answer 1.');
    await (await gateway.post('/v1/messages', first)).text();
    expect(gateway.passed.map(({ path }) => path)).toEqual([
      '/v1/messages',
      '/v1/chat/completions',
      '/v1/chat/completions',
    ]);
  });

  test('a server that reads bodies before it looks for the route is asked in chat completions then', async () => {
    const gateway = await gatewayFixture();
    gateway.engine.kind = 'openai';
    const usual = gateway.server.answer;
    gateway.server.answer = (passed, res) =>
      passed.path === '/v1/chat/completions'
        ? void usual(passed, res)
        : json(res, passed.text === '{}' ? 400 : 404, {});
    for (let at = 0; at < 2; at++) expect((await gateway.post('/v1/messages', first)).status).toBe(200);
    expect(gateway.passed.map(({ path }) => path)).toEqual([
      '/v1/messages',
      '/v1/messages',
      '/v1/chat/completions',
      '/v1/chat/completions',
    ]);
  });

  test('an answer that is not streamed passes as it is, and is recorded', async () => {
    const text = `{"id":"msg_9", "type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"<hi>"}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":21,"output_tokens":8}}`;
    const gateway = await foreign('/v1/messages', (_, res) => json(res, 200, text));
    expect(await (await gateway.post('/v1/messages', { ...first, stream: false })).text()).toBe(text);
    expect(await said(gateway)).toMatchObject([[{ role: 'user' }, { role: 'assistant', text: '<hi>', cut: 'limit' }]]);
  });

  test('a refusal passes in the words and the form of the server', async () => {
    const text = '{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens is too large"}}';
    const gateway = await foreign('/v1/messages', (_, res) => json(res, 400, text));
    const answer = await gateway.post('/v1/messages', first);
    expect([answer.status, await answer.text()]).toEqual([400, text]);
    expect(gateway.passed).toHaveLength(2);
  });

  test('an error inside the stream ends the answer once, and what came is kept as failed', async () => {
    const error = event('error', { error: { type: 'overloaded_error', message: 'Too busy.' } });
    const events = [...thoughtful.slice(0, 5), error];
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, events));
    expect(withoutComments(await (await gateway.post('/v1/messages', first)).text())).toBe(events.join(''));
    expect(await said(gateway)).toMatchObject([[{ role: 'user' }, { reasoning: 'Let me think.', cut: 'failed' }]]);
  });

  test('a stream that is cut ends with an error in the form of the client', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, thoughtful.slice(0, 10)));
    const text = await (await gateway.post('/v1/messages', first)).text();
    expect(text.startsWith(thoughtful.slice(0, 10).join(''))).toBe(true);
    expect(text).toContain('event: error\ndata: {"type":"error","error":{"type":"api_error"');
    expect(await said(gateway)).toMatchObject([[{ role: 'user' }, { text: 'I will read. é', cut: 'failed' }]]);
  });

  test('a client that leaves ends the answer at the server, and the part that came is kept', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const each of thoughtful.slice(0, 9)) res.write(each);
    });
    const left = new AbortController();
    const answer = await gateway.post('/v1/messages', first, {}, left.signal);
    const reader = answer.body!.getReader();
    let text = '';
    while (!text.includes('I will')) text += new TextDecoder().decode((await reader.read()).value);
    left.abort();
    await gateway.passed[1]?.left;
    expect(await said(gateway)).toMatchObject([[{ role: 'user' }, { text: 'I will ', cut: 'stopped' }]]);
  });

  test('a message that is spelled in another way is sent as it was sent first, and markers for caches may move', async () => {
    const gateway = await foreign('/v1/messages', (_, res) => stream(res, thoughtful));
    const marker = { cache_control: { type: 'ephemeral' } };
    const system = [{ type: 'text', text: 'You code.', ...marker }];
    const user = { role: 'user', content: [{ type: 'text', text: 'Read it', ...marker }] };
    await (await gateway.post('/v1/messages', { ...first, system, messages: [user] })).text();
    gateway.server.answer = served('/v1/messages', (_, res) => stream(res, saysText('Red.')));
    const call = { type: 'tool_use', id: 'toolu_1', name: 'read', input: { path: 'a.txt' } };
    const result = {
      type: 'tool_result',
      tool_use_id: 'toolu_1',
      content: [{ type: 'text', text: 'Red.', ...marker }],
    };
    const messages = [
      { content: 'Read it', role: 'user' },
      { role: 'assistant', content: [{ type: 'text', text: 'I will read. é' }, call] },
      { role: 'user', content: [result] },
    ];
    const text = await (await gateway.post('/v1/messages', { ...first, system: 'You code.', messages })).text();
    const sent = gateway.passed.at(-1);
    expect(sent?.body).toMatchObject({ system, messages: [user, {}, { content: [result] }] });
    expect(sent?.text).toContain('"input":{"path": "a.txt"}');
    expect(text).toContain('3 parts sent as spelled first');
    const bare = { ...result, content: 'Red.' };
    const listed = { ...result, content: [{ type: 'text', text: 'Red.' }] };
    for (const each of [listed, bare]) {
      const more = [...messages.slice(0, 2), { role: 'user', content: [each] }];
      const next = [...more, { role: 'assistant', content: 'Red.' }, { role: 'user', content: 'Thanks.' }];
      await (await gateway.post('/v1/messages', { ...first, system, messages: next })).text();
    }
    const sentAs = gateway.passed.slice(-2).map(({ body }) => (body['messages'] as readonly object[])[2]);
    expect(sentAs).toEqual([
      { role: 'user', content: [result] },
      { role: 'user', content: [bare] },
    ]);
  });

  test('the first system prompt of a conversation goes with all its requests, where that is set', async () => {
    const gateway = await gatewayFixture(undefined, { healing: { heals: true, pins: true } });
    gateway.engine.kind = 'openai';
    gateway.server.answer = served('/v1/messages', (_, res) => stream(res, saysText('Hi.')));
    const turn = (system: string, messages: readonly object[]) =>
      gateway.post('/v1/messages', { ...ask, system, messages }).then((answer) => answer.text());
    await turn('It is Monday.', first.messages);
    await gateway.settled();
    const more = [...first.messages, { role: 'assistant', content: 'Hi.' }, { role: 'user', content: 'And?' }];
    await turn('It is Tuesday.', more);
    expect(gateway.passed.at(-1)?.body).toMatchObject({ system: 'It is Monday.' });
    await gateway.restart();
    await turn('It is Friday.', [...more, { role: 'assistant', content: 'Hi.' }, { role: 'user', content: 'And?' }]);
    expect(gateway.passed.at(-1)?.body).toMatchObject({ system: 'It is Monday.' });
  });
});

test('a system prompt in another place than the first one is sent as it is', async () => {
  const gateway = await gatewayFixture(undefined, { healing: { heals: true, pins: true } });
  gateway.engine.kind = 'openai';
  gateway.server.answer = served('/v1/responses', (_, res) => stream(res, llamaResponse('r', 'Hi.')));
  const developer = { type: 'message', role: 'developer', content: 'It is Monday.' };
  const input = [developer, { role: 'user', content: 'Say hi' }];
  await (await gateway.post('/v1/responses', { model: 'm', stream: true, input })).text();
  await gateway.settled();
  await gateway.restart();
  const more = [
    { ...developer, content: 'It is Tuesday.' },
    input[1],
    { role: 'assistant', content: 'Hi.' },
    { role: 'user', content: 'And?' },
  ];
  await (await gateway.post('/v1/responses', { model: 'm', stream: true, input: more })).text();
  expect(gateway.passed.at(-1)?.body['input']).toEqual(more);
  expect(await said(gateway)).toHaveLength(1);
});

describe('Responses at a server that has them', () => {
  const first = { model: 'm', input: 'Say hi', instructions: 'You code.', stream: true, store: true };

  test('the server keeps nothing, and gets the whole conversation where the client names what it continues', async () => {
    const gateway = await foreign('/v1/responses', ({ body }, res) =>
      stream(res, llamaResponse(body['input'] === 'Say hi' ? 'resp_one' : 'resp_two', 'Hi there.')),
    );
    const one = await (await gateway.post('/v1/responses', first)).text();
    expect(withoutComments(one)).toBe(llamaResponse('resp_one', 'Hi there.').join(''));
    expect(one).toContain(': cwm reused 21 of 26 prompt tokens\n\nevent: response.completed');
    await gateway.settled();
    const input = [
      { role: 'user', content: 'And again' },
      { type: 'item_reference', id: 'msg_resp_one' },
    ];
    await (await gateway.post('/v1/responses', { ...first, input, previous_response_id: 'resp_one' })).text();
    const bodies = gateway.passed.filter(({ text }) => text !== '{}').map(({ body }) => body);
    expect(bodies).toMatchObject([
      { input: 'Say hi', store: false },
      {
        store: false,
        input: [
          { role: 'user', content: 'Say hi' },
          messageOf('resp_one', 'Hi there.'),
          { role: 'user', content: 'And again' },
          messageOf('resp_one', 'Hi there.'),
        ],
      },
    ]);
    expect(bodies[1]).not.toHaveProperty('previous_response_id');
    expect(await said(gateway)).toHaveLength(1);
  });

  test("S2-07 the next process knows an answer by the server's id, but only for the same client", async () => {
    const gateway = await foreign('/v1/responses', (_, res) => stream(res, llamaResponse('resp_one', 'Hi there.')));
    await (await gateway.post('/v1/responses', first)).text();
    await gateway.settled();
    await gateway.restart();
    const next = { ...first, input: 'And again', previous_response_id: 'resp_one' };
    const other = await gateway.post('/v1/responses', next, { 'user-agent': 'other/1.0' });
    expect(other.status).toBe(404);
    await (await gateway.post('/v1/responses', next)).text();
    expect(gateway.passed.at(-1)?.body['input']).toMatchObject([
      { role: 'user', content: 'Say hi' },
      { role: 'assistant', content: 'Hi there.' },
      { role: 'user', content: 'And again' },
    ]);
    expect(await said(gateway)).toMatchObject([[{}, {}, { text: 'And again' }, {}]]);
  });

  test('reasoning, a call and a custom call are recorded, and the next turn is one with them', async () => {
    const output = [
      { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      {
        type: 'function_call',
        id: 'fc_1',
        call_id: 'call_1',
        name: 'read',
        arguments: '{"path": "a"}',
        status: 'completed',
      },
      { type: 'custom_tool_call', id: 'ctc_1', call_id: 'call_2', name: 'sh', input: 'ls' },
    ];
    const usage = { input_tokens: 9, output_tokens: 3, total_tokens: 12 };
    const whole = JSON.stringify({ id: 'resp_1', object: 'response', status: 'completed', model: 'm', output, usage });
    const gateway = await foreign('/v1/responses', (_, res) => json(res, 200, whole));
    const request = { ...first, stream: false };
    expect(await (await gateway.post('/v1/responses', request)).text()).toBe(whole);
    await gateway.settled();
    const results = [
      { type: 'function_call_output', call_id: 'call_1', output: 'Red.' },
      { type: 'custom_tool_call_output', call_id: 'call_2', output: 'a' },
    ];
    const again = output.map((item) =>
      'arguments' in item ? { ...item, id: 'fc_9', arguments: '{"path":"a"}' } : item,
    );
    const input = [{ role: 'user', content: 'Say hi' }, ...again, ...results];
    await (await gateway.post('/v1/responses', { ...request, input })).text();
    const [session, ...others] = await said(gateway);
    expect(others).toEqual([]);
    expect(session?.slice(0, 4)).toMatchObject([
      { text: 'Say hi' },
      {
        reasoning: 'Hm.',
        calls: [
          { id: 'call_1', arguments: '{"path": "a"}' },
          { id: 'call_2', name: 'sh', arguments: '{"input":"ls"}' },
        ],
      },
      { text: 'Red.' },
      { text: 'a' },
    ]);
    // As the model wrote it.
    expect(gateway.passed.at(-1)?.text).toContain(String.raw`"arguments":"{\"path\": \"a\"}"`);
  });

  const responses = (outputs: readonly (readonly object[])[]) => {
    let count = 0;
    return foreign('/v1/responses', (_, res) => {
      const output = outputs[Math.min(count++, outputs.length - 1)];
      const usage = { input_tokens: 5, output_tokens: 2 };
      json(res, 200, { id: `resp_${count}`, object: 'response', status: 'completed', model: 'm', output, usage });
    });
  };
  const user = (content: unknown): object => ({ role: 'user', content });
  const talk = async (gateway: GatewayFixture, fields: object, headers: Readonly<Record<string, string>> = {}) => {
    const answer = await gateway.post('/v1/responses', { model: 'm', ...fields }, headers);
    await answer.text();
    await gateway.settled();
    return answer;
  };
  const shellCall = { type: 'local_shell_call', id: 'lsh_1', call_id: 'c1', action: { command: ['ls'] } };
  const shellOutput = { type: 'local_shell_call_output', call_id: 'c1', output: 'a.txt' };

  test('an answer of several messages is one, and the whole conversation goes on with it in the same session', async () => {
    const output = [messageOf('1', 'Let me see.'), { type: 'web_search_call', id: 'ws_1' }, messageOf('2', 'Hi.')];
    const gateway = await responses([output, [messageOf('3', 'More.')]]);
    await talk(gateway, { input: [user('Say hi')] });
    await talk(gateway, { input: [user('Say hi'), ...output, user('And?')] });
    expect(await said(gateway)).toMatchObject([
      [{ text: 'Say hi' }, { text: expect.stringMatching(/^Let me see\.\nHi\./) as string }, { text: 'And?' }, {}],
    ]);
    expect(gateway.passed.at(-1)?.body['input']).toEqual([user('Say hi'), ...output, user('And?')]);
  });

  test("an answer that only calls the server's own tools is recorded, and so is what follows it", async () => {
    const gateway = await responses([[shellCall], [messageOf('2', 'Done.')]]);
    await talk(gateway, { input: 'List files' });
    const next = await talk(gateway, { input: [shellOutput], previous_response_id: 'resp_1' });
    expect(next.headers.get('x-cwm-recorded')).toBe('yes');
    expect(await said(gateway)).toMatchObject([
      [{ text: 'List files' }, { role: 'assistant' }, { role: 'user' }, { text: 'Done.' }],
    ]);
  });

  test('what follows such an answer that is not recorded is recorded with it', async () => {
    const gateway = await responses([[shellCall], [messageOf('2', 'Done.')]]);
    await talk(gateway, { input: 'List files' }, { 'x-cwm-record': 'no' });
    const next = await talk(gateway, { input: [shellOutput], previous_response_id: 'resp_1' });
    expect(next.headers.get('x-cwm-recorded')).toBe('yes');
    expect(await said(gateway)).toMatchObject([[{ text: 'List files' }, {}, {}, { text: 'Done.' }]]);
  });

  test('a file goes along when the next process continues an answer', async () => {
    const gateway = await responses([[messageOf('1', 'Red.')]]);
    const file = { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' };
    const question = user([{ type: 'input_text', text: 'Read' }, file]);
    await talk(gateway, { input: [question] });
    await gateway.restart();
    await talk(gateway, { input: 'And?', previous_response_id: 'resp_1' });
    expect(gateway.passed.at(-1)?.body['input']).toMatchObject([question, { role: 'assistant' }, { content: 'And?' }]);
  });

  test('an answer to something that is not stored whole can be continued by its id until the backend ends', async () => {
    const gateway = await responses([[messageOf('1', 'Roses.')]]);
    const question = user([
      { type: 'input_text', text: 'What is it?' },
      { type: 'smell', of: 'roses' },
    ]);
    await talk(gateway, { input: [question] });
    await talk(gateway, { input: 'And?', previous_response_id: 'resp_1' });
    expect(gateway.passed.at(-1)?.body['input']).toMatchObject([question, {}, { content: 'And?' }]);
    await gateway.restart();
    const next = await gateway.post('/v1/responses', { model: 'm', input: 'So?', previous_response_id: 'resp_2' });
    expect([next.status, await next.text()]).toEqual([404, expect.stringContaining('Send the whole conversation')]);
  });

  test('an answer of a session that was deleted is continued as another session', async () => {
    const gateway = await responses([[messageOf('1', 'One.')], [messageOf('2', 'Two.')]]);
    await talk(gateway, { input: 'First' });
    const [{ session } = { session: null }] = await gateway.sessions();
    await gateway.cwm.deleteSession({ session: session!.id });
    gateway.sessionChanged(session!.id);
    const next = await talk(gateway, { input: 'Second', previous_response_id: 'resp_1' });
    expect(next.headers.get('x-cwm-recorded')).toBe('yes');
    expect(next.headers.get('x-cwm-session')).not.toBe(session!.id);
    expect(await said(gateway)).toMatchObject([
      [{ text: 'First' }, { text: 'One.' }, { text: 'Second' }, { text: 'Two.' }],
    ]);
  });

  test('a stream that is cut says so in the form of the client, with what came', async () => {
    const gateway = await foreign('/v1/responses', (_, res) =>
      stream(res, llamaResponse('resp_1', 'Hi you.').slice(0, 4)),
    );
    const text = await (await gateway.post('/v1/responses', first)).text();
    const last = JSON.parse(text.slice(text.lastIndexOf('data: ') + 6)) as object;
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { id: 'resp_1', status: 'failed', output: [{ content: [{ text: 'Hi you.' }] }] },
    });
    expect(await said(gateway)).toMatchObject([[{}, { text: 'Hi you.', cut: 'failed' }]]);
  });

  test('an answer that failed or was not finished is one', async () => {
    const failed = event('response.failed', {
      response: { id: 'r', status: 'failed', output: [], error: { code: 'server_error', message: 'No.' } },
    });
    const incomplete = event('response.incomplete', {
      response: {
        id: 'r',
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [messageOf('r', 'Hi')],
      },
    });
    const gateway = await foreign('/v1/responses', ({ body }, res) =>
      stream(res, [...llamaResponse('r', 'Hi').slice(0, 3), body['input'] === 'Fail' ? failed : incomplete]),
    );
    expect(await (await gateway.post('/v1/responses', { ...first, input: 'Fail' })).text()).toContain(failed);
    await (await gateway.post('/v1/responses', first)).text();
    expect((await said(gateway)).flat().map((each) => each.cut)).toEqual(expect.arrayContaining(['failed', 'limit']));
  });
});

describe('a server that tells tokens', () => {
  const block = { type: 'hologram', data: 'x' };
  const messages = [{ role: 'user', content: [block, { type: 'text', text: 'Hi' }] }];

  test('is asked in chat completions while nothing is lost, and in the form of the client where something is', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = (passed, res) =>
      passed.path === '/v1/messages'
        ? served('/v1/messages', (_, own) => stream(own, saysText('Own.')))(passed, res)
        : void usual(passed, res);
    const plain = { ...ask, messages: [{ role: 'user', content: 'Hi' }] };
    expect(await (await gateway.post('/v1/messages', plain)).text()).toContain('Answer 1.');
    const text = JSON.stringify({ ...ask, messages });
    expect(await (await gateway.post('/v1/messages', text)).text()).toContain('Own.');
    const [inChat, , own] = gateway.passed;
    expect(inChat).toMatchObject({ path: '/v1/chat/completions', body: { return_token_ids: true } });
    const { cache_salt: salt, ...rest } = own?.body ?? {};
    expect([typeof salt, rest]).toEqual(['string', JSON.parse(text)]);
  });

  test('without the route, a part without a form in chats is refused by name', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => json(res, 404, {});
    const answer = await gateway.post('/v1/messages', { ...ask, messages });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('hologram') as string]);
  });

  test('the ids of tokens that only the gateway asked for are recorded, and the client gets none', async () => {
    const gateway = await gatewayFixture();
    const tokens = (all: readonly number[]) => [{ message: 'm "x"', tokens: all, type: 'raw_message_tokens' }];
    const body = (more: object): object => ({
      response: { id: 'resp_1', status: 'completed', model: 'm', ...more, output: [messageOf('1', 'Hi')] },
    });
    const told = event('response.completed', body({ input_messages: tokens([1, 2]), output_messages: tokens([3]) }));
    gateway.server.answer = served('/v1/responses', (_, res) => stream(res, [told]));
    const tools = [{ type: 'custom', name: 'sh' }];
    const text = await (await gateway.post('/v1/responses', { model: 'm', input: 'Hi', stream: true, tools })).text();
    expect(withoutComments(text)).toBe(
      event('response.completed', body({ input_messages: null, output_messages: null })),
    );
    expect(gateway.passed.at(-1)?.body).toMatchObject({ enable_response_messages: true, tools });
    const asks = { model: 'm', input: 'Hi', stream: true, tools, enable_response_messages: true };
    const asked = await (await gateway.post('/v1/responses', asks)).text();
    expect(withoutComments(asked)).toBe(told);
    const [session] = await gateway.sessions();
    expect(session?.session.tokens).toMatchObject({ count: 3, promptCount: 2, source: 'engine' });
  });

  test('a server that refuses the form of the client is asked in chat completions, where these can say it', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = (passed, res) =>
      passed.path === '/v1/responses' ? json(res, 400, { error: { message: 'No.' } }) : void usual(passed, res);
    const tools = [{ type: 'custom', name: 'sh' }];
    const answer = await gateway.post('/v1/responses', { model: 'm', input: 'Hi', tools });
    expect(await answer.json()).toMatchObject({ output: [{ content: [{ text: 'Answer 1.' }] }] });
  });
});

describe('what chat completions have a form for is no loss', () => {
  test('Responses: what the model thought, said and called in one turn is one message', async () => {
    const gateway = await gatewayFixture();
    const thought = (text: string): object => ({ type: 'reasoning', content: [{ type: 'reasoning_text', text }] });
    const call = { type: 'function_call', call_id: 'c1', name: 'read', arguments: '{}' };
    const said = [thought('One. '), messageOf('1', 'Let me see.'), thought('Two.'), messageOf('2', 'So:'), call];
    const input = [
      { role: 'user', content: 'Hi' },
      ...said,
      { type: 'function_call_output', call_id: 'c1', output: 'A' },
    ];
    await gateway.post('/v1/responses', { model: 'm', input });
    expect(gateway.passed[0]?.body['messages']).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: 'Let me see.\nSo:', reasoning_content: 'One. Two.', tool_calls: [{ id: 'c1' }] },
      { role: 'tool' },
    ]);
  });

  test('Messages', async () => {
    const gateway = await gatewayFixture();
    const schema = { type: 'object' };
    await gateway.post('/v1/messages', {
      ...ask,
      stream: false,
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 's' },
            { type: 'text', text: 'Hi.' },
          ],
        },
        { role: 'user', content: 'And?' },
      ],
      tools: [{ name: 'read', input_schema: schema, strict: true }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      thinking: { type: 'disabled' },
      output_config: { effort: 'low', format: { type: 'json_schema', schema } },
      metadata: { user_id: 'u' },
      min_p: 0.1,
      hologram: { a: [1] },
    });
    expect(gateway.passed[0]?.body).toMatchObject({
      messages: [{}, { content: 'Hi.', reasoning_content: 'Hm.' }, {}],
      tools: [{ function: { name: 'read', strict: true } }],
      parallel_tool_calls: false,
      chat_template_kwargs: { enable_thinking: false },
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { schema } },
      min_p: 0.1,
      hologram: { a: [1] },
    });
    expect(gateway.passed[0]?.body).not.toHaveProperty('metadata');
  });

  test('the stop sequence that ended an answer is told', async () => {
    const gateway = await gatewayFixture();
    const stopped = { index: 0, finish_reason: 'stop', stop_reason: 'END' };
    gateway.server.answer = ({ body }, res) =>
      body['stream'] === true
        ? stream(res, [
            `data: ${JSON.stringify({ choices: [{ ...stopped, delta: { content: 'Hi' } }] })}\n\n`,
            'data: [DONE]\n\n',
          ])
        : json(res, 200, { choices: [{ ...stopped, message: { role: 'assistant', content: 'Hi' } }] });
    const request = { ...ask, messages: [{ role: 'user', content: 'Hi' }], stop_sequences: ['END'] };
    const told = { stop_reason: 'stop_sequence', stop_sequence: 'END' };
    const whole = await gateway.post('/v1/messages', { ...request, stream: false });
    expect(await whole.json()).toMatchObject(told);
    expect(await (await gateway.post('/v1/messages', request)).text()).toContain(JSON.stringify(told).slice(1, -1));
  });

  test('Responses', async () => {
    const gateway = await gatewayFixture();
    await gateway.post('/v1/responses', {
      model: 'm',
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] },
        { role: 'assistant', content: 'Hi.' },
        { role: 'user', content: 'And?' },
      ],
      reasoning: { effort: 'high' },
      parallel_tool_calls: false,
      prompt_cache_key: 'k',
      seed: 7,
      store: true,
      metadata: {},
    });
    expect(gateway.passed[0]?.body).toMatchObject({
      messages: [{}, { content: 'Hi.', reasoning_content: 'Hm.' }, {}],
      reasoning_effort: 'high',
      parallel_tool_calls: false,
      prompt_cache_key: 'k',
      seed: 7,
    });
    expect(gateway.passed[0]?.body).not.toHaveProperty('store');
  });
});
