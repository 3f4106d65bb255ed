import type { ServerResponse } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../src/core/ports/engine.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { fakeFolders } from '../core/fakeFolders.ts';
import { chunk, gatewayFixture, usageChunk, type Passed } from './gatewayFixture.ts';

const call = { id: 'call_1', type: 'function', function: { name: 'read', arguments: '{"path":"a.txt"}' } };

/** Reasoning, a text and a call, in pieces. */
const thoughtful = (_: Passed, res: ServerResponse): void => {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.end(
    [
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'Let me ' }),
      chunk({ reasoning_content: 'think.' }),
      chunk({ content: 'I will ' }),
      chunk({ content: 'read.' }),
      chunk({ tool_calls: [{ index: 0, ...call, function: { name: 'read', arguments: '' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"path":' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '"a.txt"}' } }] }),
      usageChunk(20, 16),
      'data: [DONE]\n\n',
    ].join(''),
  );
};

const eventsOf = (text: string): readonly Readonly<Record<string, unknown>>[] =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('event: '))
    .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Record<string, unknown>);

describe('an empty answer', () => {
  const message = (role: string, content: unknown): object => ({ role, content });
  const thought = { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] };

  test.each([
    ['chat completions', 'leaves it out', '/v1/chat/completions', 'messages', []],
    ['chat completions', 'says ""', '/v1/chat/completions', 'messages', [message('assistant', '')]],
    ['chat completions', 'says null', '/v1/chat/completions', 'messages', [message('assistant', null)]],
    ['Responses', 'leaves it out', '/v1/responses', 'input', []],
    ['Responses', 'says an empty list', '/v1/responses', 'input', [message('assistant', [])]],
    ['Responses', 'sends what was thought', '/v1/responses', 'input', [thought]],
    ['Messages', 'leaves it out', '/v1/messages', 'messages', []],
    ['Messages', 'says an empty list', '/v1/messages', 'messages', [message('assistant', [])]],
    ['Messages', 'says a blank', '/v1/messages', 'messages', [message('assistant', [{ type: 'text', text: ' ' }])]],
  ])('of %s makes no branch where the client %s, also after a restart', async (_form, _how, path, field, empty) => {
    const gateway = await gatewayFixture();
    let text = '';
    gateway.server.answer = (_, res) => {
      const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }];
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ id: 'c', model: 'm', choices }));
    };
    const said: object[] = [];
    const ask = async (question: string, answer: string): Promise<void> => {
      text = answer;
      said.push(message('user', question));
      const given = await gateway.post(path, { model: 'm', max_tokens: 9, [field]: said });
      expect(given.status).toBe(200);
      await given.text();
      said.push(...(answer === '' ? empty : [message('assistant', answer)]));
      await gateway.settled();
      if (question !== 'two') await gateway.restart();
    };
    await ask('one', '');
    await ask('two', '');
    await ask('three', 'Three.');
    await ask('four', '');
    await ask('five', 'Five.');
    const all = await gateway.sessions();
    expect(all).toHaveLength(1);
    expect(Object.keys(all[0]!.session.branches)).toHaveLength(1);
    const texts = all[0]!.said.map((each) => ('text' in each ? each.text : each.type));
    expect(texts).toEqual(['one', '', 'two', '', 'three', 'Three.', 'four', '', 'five', 'Five.']);
  });
});

describe('an answer that is not streamed', () => {
  const whole = (_: Passed, res: ServerResponse): void => {
    const message = { role: 'assistant', content: 'Hi.' };
    const usage = { prompt_tokens: 20, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 16 } };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ id: 'c', model: 'm', choices, usage: { ...usage, of_the_server: 1 } }));
  };
  const asked = (system: string, more: readonly string[] = []) => ({
    model: 'm',
    max_tokens: 9,
    messages: [
      { role: 'system', content: system },
      ...['Say hi', ...more].map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content })),
    ],
  });
  const input = ({ messages, ...rest }: ReturnType<typeof asked>): object => ({ ...rest, input: messages });

  test.each([
    ['chat completions', '/v1/chat/completions', (body: ReturnType<typeof asked>): object => body],
    ['Responses', '/v1/responses', input],
    ['Messages', '/v1/messages', (body: ReturnType<typeof asked>): object => body],
  ])('of %s says in headers and in its usage what was reused, and what broke the prefix', async (_, path, form) => {
    const gateway = await gatewayFixture();
    gateway.server.answer = whole;
    const first = await gateway.post(path, form(asked('Saturday')));
    expect(first.headers.get('x-cwm-reused')).toBe('16/20');
    expect(first.headers.get('x-cwm-break')).toBeNull();
    expect(await first.json()).toMatchObject({
      usage: { cwm: { reused_tokens: 16, computed_again_tokens: 0, break: null } },
    });
    const broken = await gateway.post(path, form(asked('Sunday ☀', ['Hi.', 'And again'])));
    const what = 'the system prompt changed at "Sunday ';
    expect(broken.headers.get('x-cwm-break')).toBe(`${what}?"; 4 tokens computed again`);
    expect(await broken.json()).toMatchObject({ usage: { cwm: { computed_again_tokens: 4, break: `${what}☀"` } } });
  });

  test('keeps what the server says of its usage', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = whole;
    const { usage } = (await (await gateway.post('/v1/chat/completions', asked('Be brief.'))).json()) as {
      usage: object;
    };
    expect(usage).toMatchObject({ prompt_tokens: 20, of_the_server: 1, cwm: { reused_tokens: 16 } });
  });
});

test('the usage of a streamed chat has the receipt, too, where the client asked for usage', async () => {
  const gateway = await gatewayFixture();
  const ask = async (more: object): Promise<string> =>
    (await gateway.post('/v1/chat/completions', { model: 'm', stream: true, ...more })).text();
  const messages = [{ role: 'user', content: 'Say hi' }];
  const asked = await ask({ messages, stream_options: { include_usage: true } });
  expect(asked).toContain('"usage":{"cwm":{"reused_tokens":16,');
  expect(asked).toContain('"prompt_tokens":20');
  expect(await ask({ messages })).not.toContain('"cwm"');
});

const block = ['content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop'];

describe('Messages', () => {
  const tools = [{ name: 'read', description: 'Reads a file', input_schema: { type: 'object' } }];
  const first = {
    model: 'm',
    max_tokens: 64,
    system: [{ type: 'text', text: 'You code.', cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: 'Read it' }],
    tools,
    stream: true,
  };

  test('the server is asked in chat completions, and the client gets its own events', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = thoughtful;
    const answer = await gateway.post('/v1/messages', first, { 'x-api-key': 'mine' });
    const events = eventsOf(await answer.text());
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      ...block,
      ...block,
      ...block,
      'message_delta',
      'message_stop',
    ]);
    expect(events[9]).toMatchObject({ index: 2, content_block: { type: 'tool_use', id: 'call_1', name: 'read' } });
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: 'tool_use' },
      usage: { input_tokens: 4, cache_read_input_tokens: 16, output_tokens: 2 },
    });
    expect(gateway.passed[0]).toMatchObject({
      path: '/v1/chat/completions',
      body: {
        messages: [
          { role: 'system', content: 'You code.' },
          { role: 'user', content: 'Read it' },
        ],
        tools: [{ type: 'function', function: { name: 'read', parameters: { type: 'object' } } }],
        max_tokens: 64,
      },
    });
  });

  test('a tool turn and the turn after it are one session, whichever form the content has', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = thoughtful;
    await (await gateway.post('/v1/messages', first)).text();
    gateway.server.answer = usual;
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'Read it', cache_control: { type: 'ephemeral' } }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Let me think.', signature: '' },
          { type: 'text', text: 'I will read.' },
          { type: 'tool_use', id: 'call_1', name: 'read', input: { path: 'a.txt' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'Red.' }] },
          { type: 'text', text: 'Go on.' },
        ],
      },
    ];
    const whole = await gateway.post('/v1/messages', { ...first, stream: false, messages });
    expect(await whole.json()).toMatchObject({
      type: 'message',
      content: [{ type: 'text', text: 'Answer 1.' }],
      stop_reason: 'end_turn',
    });
    const [{ said } = { said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(said).toMatchObject([
      { role: 'user', text: 'Read it' },
      { type: 'tool-calls', text: 'I will read.', reasoning: 'Let me think.' },
      { type: 'tool-result', name: 'read', text: 'Red.' },
      { role: 'user', text: 'Go on.' },
      { role: 'assistant', text: 'Answer 1.' },
    ]);
    expect(gateway.passed[1]?.body['messages']).toMatchObject([
      { role: 'system' },
      { role: 'user' },
      { role: 'assistant', content: 'I will read.', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'Red.' },
      { role: 'user', content: 'Go on.' },
    ]);
  });

  test('the tokens of a request are counted by the server', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => void res.writeHead(200, {}).end('{"count":17,"tokens":[]}');
    const answer = await gateway.post('/v1/messages/count_tokens', first);
    expect(await answer.json()).toEqual({ input_tokens: 17 });
    expect(gateway.passed[0]?.path).toBe('/tokenize');
    expect(await gateway.sessions()).toEqual([]);
    expect((await gateway.post('/v1/messages/count_tokens', {})).status).toBe(400);
    gateway.server.answer = (_, res) => void res.writeHead(404, {}).end('{}');
    const refused = await gateway.post('/v1/messages/count_tokens', first);
    expect(await refused.json()).toMatchObject({ error: { message: expect.stringContaining('does not count') } });
  });

  describe.each([
    ['/v1/messages', 'error', ['message_stop']],
    ['/v1/responses', 'response.failed', ['response.completed', 'response.incomplete']],
  ])('%s', (to, failed, ended) => {
    const body = { ...first, input: 'Say hi' };
    const error = 'data: {"error":{"message":"Out of memory","type":"server_error","code":500}}\n\ndata: [DONE]\n\n';

    test.each([
      ['an error', chunk({ content: 'Once' }) + error, 'Out of memory', 1],
      ['an error of llama-server', 'error: {"code":500,"message":"Out of memory"}\n\n', 'Out of memory', 0],
      ['no end', chunk({ content: 'Once' }), 'too early', 1],
      ['nothing', '', 'too early', 0],
    ])('an answer with %s has failed', async (_what, stream, message, sessions) => {
      const gateway = await gatewayFixture();
      gateway.server.answer = (_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream);
      const events = eventsOf(await (await gateway.post(to, body)).text());
      expect(events.at(-1)?.['type']).toBe(failed);
      expect(JSON.stringify(events.at(-1))).toContain(message);
      expect(events.filter(({ type }) => ended.includes(String(type)))).toEqual([]);
      const all = await gateway.sessions();
      expect(all).toHaveLength(sessions);
      for (const { said } of all) expect(said.at(-1)).toMatchObject({ text: 'Once', cut: 'failed' });
    });

    test('a body that is no answer is refused in words', async () => {
      const gateway = await gatewayFixture();
      gateway.server.answer = (_, res) => void res.writeHead(200, {}).end('{"error":{"message":"Out of memory"}}');
      const answer = await gateway.post(to, { ...body, stream: false });
      expect(answer.status).toBe(502);
      expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining('Out of memory') } });
    });

    test('the ids of an answer of llama-server are those of the whole chat, as it was asked', async () => {
      const gateway = await gatewayFixture();
      gateway.engine.kind = 'llama-server';
      const nextChatIds = vi.fn<NonNullable<Engine['nextChatIds']>>().mockResolvedValue([1]);
      Object.assign(gateway.engine, { nextChatIds });
      gateway.server.answer = thoughtful;
      await (await gateway.post(to, { ...body, instructions: 'You code.', input: 'Read it' })).text();
      await gateway.settled();
      const [chat] = nextChatIds.mock.lastCall ?? [];
      expect(chat?.messages).toMatchObject([
        { role: 'system', content: 'You code.' },
        { role: 'user', content: 'Read it' },
      ]);
      expect(chat?.answer).toMatchObject({ role: 'assistant', content: 'I will read.', tool_calls: [call] });
      const [stored] = await gateway.sessions();
      expect(stored?.session.tokens?.count).toBe(1);
    });

    test('a refusal behind the first comment is an event in the form of the client', async () => {
      const gateway = await gatewayFixture();
      await (await gateway.post(to, body)).text();
      const [{ session } = { session: null }] = await gateway.sessions();
      const { outside } = gateway.cwm;
      const { promise: waits, resolve: goOn } = Promise.withResolvers<void>();
      vi.spyOn(outside, 'giveWay').mockImplementation(() => waits);
      gateway.server.answer = (_, res) =>
        void res.writeHead(400, {}).end('{"error":{"message":"Too long","code":400}}');
      const again = { role: 'user', content: 'Again' };
      const said = [{ role: 'user', content: 'Say hi' }, { role: 'assistant', content: 'Answer 1.' }, again];
      const before = { messages: [{ role: 'user', content: 'Read it' }, ...said.slice(1)], input: said };
      const answer = await gateway.post(to, { ...body, ...before });
      goOn();
      expect(answer.headers.get('x-cwm-session')).toBe(session?.id);
      const events = eventsOf(await answer.text());
      expect(events.at(-1)?.['type']).toBe(failed);
      expect(JSON.stringify(events.at(-1))).toContain('Too long');
    });
  });

  test('a page in the place of an answer comes as it is, and is no turn', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) =>
      void res.writeHead(200, { 'content-type': 'text/html' }).end('<html>Hello</html>');
    for (const to of ['/v1/messages', '/v1/responses']) {
      expect(await (await gateway.post(to, { ...first, input: 'Say hi', stream: false })).text()).toBe(
        '<html>Hello</html>',
      );
    }
    expect(await gateway.sessions()).toEqual([]);
  });

  test('documents of text and pictures of tools pass, and a PDF is refused in the form of Messages', async () => {
    const gateway = await gatewayFixture();
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA==' } };
    const note = { type: 'document', title: 'Note', source: { type: 'text', media_type: 'text/plain', data: 'Red.' } };
    const messages = [
      { role: 'user', content: [note, { type: 'text', text: 'Look' }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'call_1', name: 'see', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: [image] }] },
    ];
    expect((await gateway.post('/v1/messages', { ...first, messages })).status).toBe(200);
    expect(gateway.passed[0]?.body['messages']).toMatchObject([
      { role: 'system' },
      { role: 'user', content: [{ text: 'Note\nRed.' }, { text: 'Look' }] },
      { role: 'assistant' },
      { role: 'tool', tool_call_id: 'call_1', content: expect.stringContaining('picture') },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] },
    ]);
    const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AA==' } };
    const refused = await gateway.post('/v1/messages', { ...first, messages: [{ role: 'user', content: [pdf] }] });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      type: 'error',
      error: { message: expect.stringContaining('"document"') },
    });
    expect(gateway.passed.filter(({ text }) => text !== '{}')).toHaveLength(1);
  });

  test('what is no request is refused in the form of Messages', async () => {
    const gateway = await gatewayFixture();
    const answer = await gateway.post('/v1/messages', {});
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
  });
});

describe('Responses', () => {
  const first = { model: 'm', instructions: 'You code.', input: 'Say hi' };
  const json = async (answer: Response): Promise<Readonly<Record<string, unknown>>> =>
    (await answer.json()) as Record<string, unknown>;

  test('S2-12 an answer of another project is not continued in a project with strict_mode, and is elsewhere', async () => {
    const says = (folder: string): object | null => (folder.endsWith('/strict') ? { strict_mode: true } : null);
    const gateway = await gatewayFixture(diskFiles, { folders: fakeFolders(says) });
    const at = (folder: string): string => `/p/${encodeURIComponent(folder)}/v1/responses`;
    const theirs = await json(await gateway.post(at('/theirs'), first));
    const more = { ...first, input: 'And again', previous_response_id: theirs['id'] };
    const refused = await gateway.post(at('/strict'), more);
    expect(refused.status).toBe(409);
    expect(JSON.stringify(await refused.json())).toContain('\\"a\\" has strict_mode');
    expect(gateway.passed).toHaveLength(1);
    for (const folder of ['/lax', '/theirs']) expect((await gateway.post(at(folder), more)).status).toBe(200);
    const own = await json(await gateway.post(at('/strict'), first));
    const next = { ...more, previous_response_id: own['id'] };
    expect((await gateway.post(at('/strict'), next)).status).toBe(200);
  });

  test('a request with only what is new goes on behind the answer that it names, also in the next process', async () => {
    const gateway = await gatewayFixture();
    const one = await json(await gateway.post('/v1/responses', first));
    expect(one).toMatchObject({
      object: 'response',
      status: 'completed',
      output: [{ content: [{ text: 'Answer 1.' }] }],
    });
    const two = await json(
      await gateway.post('/v1/responses', { ...first, input: 'And again', previous_response_id: one['id'] }),
    );
    await gateway.restart();
    const input = [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Once more' }] }];
    const three = await json(await gateway.post('/v1/responses', { ...first, input, previous_response_id: two['id'] }));
    expect(three).toMatchObject({ previous_response_id: two['id'] });
    expect(gateway.passed[2]?.body['messages']).toEqual([
      { role: 'system', content: 'You code.' },
      { role: 'user', content: 'Say hi' },
      { role: 'assistant', content: 'Answer 1.' },
      { role: 'user', content: 'And again' },
      { role: 'assistant', content: 'Answer 2.' },
      { role: 'user', content: 'Once more' },
    ]);
    const [{ said } = { said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(said).toHaveLength(6);
    // Two requests may continue one answer.
    await gateway.post('/v1/responses', { ...first, input: 'Another way', previous_response_id: one['id'] });
    expect(Object.keys((await gateway.sessions())[0]?.session.branches ?? {})).toEqual(['main', 'branch-2']);
  });

  test('an answer that no session has can be continued: its client is not recorded', async () => {
    const gateway = await gatewayFixture();
    const token = String((await gateway.putClient('vscode', { records: false, rotate: true })).token);
    const one = await json(await gateway.post('/v1/responses', first, { 'x-api-key': token }));
    const more = { ...first, input: 'And again', previous_response_id: one['id'] };
    const two = await gateway.post('/v1/responses', more, { 'x-api-key': token });
    expect([two.status, await gateway.sessions()]).toEqual([200, []]);
    expect(gateway.passed[1]?.body['messages']).toEqual([
      { role: 'system', content: 'You code.' },
      { role: 'user', content: 'Say hi' },
      { role: 'assistant', content: 'Answer 1.' },
      { role: 'user', content: 'And again' },
    ]);
  });

  test('parts of earlier answers that are only named are put in, also in the next process', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = thoughtful;
    const one = await json(
      await gateway.post('/v1/responses', { ...first, stream: false }).then(async (answer) => {
        const events = eventsOf(await answer.text());
        return new Response(JSON.stringify(events.at(-1)?.['response']));
      }),
    );
    gateway.server.answer = usual;
    await gateway.settled();
    const named = (one['output'] as { readonly id: string }[]).map(({ id }) => ({ type: 'item_reference', id }));
    const picture = { type: 'input_image', image_url: 'data:image/png;base64,AA==' };
    const input = [
      { role: 'user', content: 'Say hi' },
      ...named,
      { type: 'function_call_output', call_id: 'call_1', output: [{ type: 'input_text', text: 'Red.' }, picture] },
    ];
    for (const restarts of [false, true]) {
      if (restarts) await gateway.restart();
      expect((await gateway.post('/v1/responses', { ...first, input })).status).toBe(200);
      expect(gateway.passed.at(-1)?.body['messages']).toMatchObject([
        { role: 'system' },
        { role: 'user' },
        { role: 'assistant', content: 'I will read.', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: 'Red.' },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: picture.image_url } }] },
      ]);
    }
    expect(await gateway.sessions()).toHaveLength(1);
    const strange = { ...first, input: [{ type: 'item_reference', id: 'msg_nothing' }] };
    expect((await gateway.post('/v1/responses', strange)).status).toBe(404);
  });

  test.each([
    [{ type: 'web_search_call', id: 'ws_1' }],
    [{ role: 'user', content: [{ type: 'input_file', file_id: 'file_1' }] }],
    [{ role: 'user', content: [{ type: 'input_image', file_id: 'file_1' }] }],
  ])('a part that no model server takes is refused: %j', async (item) => {
    const gateway = await gatewayFixture();
    const answer = await gateway.post('/v1/responses', { ...first, input: [item] });
    expect(answer.status).toBe(400);
    // Only whether it has the route.
    expect(gateway.passed.map(({ text }) => text)).toEqual(['{}']);
    expect(await gateway.sessions()).toEqual([]);
  });

  test('an answer that nobody gave cannot be continued', async () => {
    const gateway = await gatewayFixture();
    const answer = await gateway.post('/v1/responses', { ...first, previous_response_id: 'resp_nothing' });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({
      error: { message: expect.stringContaining('no response "resp_nothing"') },
    });
  });

  test('a stream has the events of Responses, with calls and reasoning; the whole conversation is recognised without ids (Codex)', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = thoughtful;
    const tools = [{ type: 'function', name: 'read', parameters: { type: 'object' } }, { type: 'web_search' }];
    const text = await (await gateway.post('/v1/responses', { ...first, tools, stream: true })).text();
    const events = eventsOf(text);
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, at) => at));
    expect(events[0]?.['type']).toBe('response.created');
    const done = events
      .filter(({ type }) => type === 'response.output_item.done')
      .map(({ item }) => item as { type: string });
    expect(done.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call']);
    expect(done[2]).toMatchObject({ call_id: 'call_1', name: 'read', arguments: '{"path":"a.txt"}' });
    expect(events.at(-1)).toMatchObject({
      type: 'response.completed',
      response: { usage: { input_tokens: 20, input_tokens_details: { cached_tokens: 16 } } },
    });
    expect(gateway.passed[0]?.body['tools']).toHaveLength(1);

    gateway.server.answer = usual;
    const input = [
      { role: 'user', content: [{ type: 'input_text', text: 'Say hi' }] },
      ...done.map((item) => ({ ...item, id: 'another id', status: undefined })),
      { type: 'function_call_output', call_id: 'call_1', output: 'Red.' },
    ];
    await (await gateway.post('/v1/responses', { ...first, input, tools, stream: true })).text();
    const [{ said } = { said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(said.map(({ type }) => type)).toEqual(['text', 'tool-calls', 'tool-result', 'text']);
  });
});

describe.each([
  [
    'chat completions',
    '/v1/chat/completions',
    /^data: \{"error":\{"message":"The model server ended its answer too early\./m,
  ],
  ['Messages', '/v1/messages', /^event: error\ndata: .*"message":"The model server ended its answer too early\./m],
  ['Responses', '/v1/responses', /^event: response\.failed\ndata: .*The model server ended its answer too early\./m],
])('a model server that is killed while a client of %s waits', (_, to, told) => {
  const hi = [{ role: 'user', content: 'Say hi' }];
  const body = { model: 'm', max_tokens: 9, messages: hi, input: hi };

  test.each([
    ['closes', (res: ServerResponse) => void res.destroy()],
    ['resets', (res: ServerResponse) => void res.socket?.resetAndDestroy()],
  ])(
    'and %s the connection in the middle of a stream: it ends with the error, and the part is kept',
    async (_how, end) => {
      const gateway = await gatewayFixture();
      gateway.server.answer = (_request, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(chunk({ content: 'Once upon' }));
      };
      const answer = await gateway.post(to, { ...body, stream: true });
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = (await reader.read()).value ?? '';
      end(gateway.responses.at(-1)!);
      for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
      expect(text).toContain('Once upon');
      expect(text).toMatch(told);
      expect(text.match(/too early/g)).toHaveLength(1);
      expect(await gateway.sessions()).toMatchObject([{ said: [{}, { text: 'Once upon', cut: 'failed' }] }]);
      expect(gateway.clients().items).toMatchObject([{ answers: 0, failures: 1 }]);
    },
  );

  test.each([
    ['a stream', true, 'text/event-stream'],
    ['an answer that is not streamed', false, 'application/json'],
  ])('before anything of %s came: the answer has a status, and the error in its form', async (_what, stream, type) => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_request, res) => {
      res.writeHead(200, { 'content-type': type });
      res.flushHeaders();
      setImmediate(() => res.socket?.resetAndDestroy());
    };
    const answer = await gateway.post(to, { ...body, stream });
    expect(answer.status).toBe(502);
    const message = expect.stringContaining('The model server ended its answer too early.');
    expect(await answer.json()).toMatchObject({ error: { type: 'api_error', message } });
  });

  test('while its line is held: the error is the next event', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      setImmediate(() => res.socket?.resetAndDestroy());
    };
    const { promise: isHeld, resolve: go } = Promise.withResolvers<null>();
    vi.spyOn(gateway.cwm.outside, 'letPass').mockReturnValue(isHeld);
    // Resolves with the first comment.
    const answer = await gateway.post(to, { ...body, stream: true });
    go(null);
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(text).toMatch(/^: cwm brings/);
    expect(text).toMatch(told);
    expect(gateway.clients().items).toMatchObject([{ failures: 1 }]);
  });
});
