import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { gatewayFixture } from './gatewayFixture.ts';
import { call, decision, MemoryClient as Client, user } from './memoryClient.ts';

describe('a model with memory, for any client', () => {
  test('the list of models has each once more, with a long context', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = ({ path }, res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      const model = { id: 'm', object: 'model', max_model_len: 4096 };
      res.end(JSON.stringify(path === '/v1/models/m' ? model : { object: 'list', data: [model] }));
    };
    const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: object[] };
    expect(list.data).toMatchObject([
      { id: 'm', max_model_len: 4096 },
      { id: 'm+memory', max_model_len: 1_000_000 },
    ]);
    expect(await (await fetch(`${gateway.url}/v1/models/m+memory`)).json()).toMatchObject({ id: 'm+memory' });
    expect(await (await fetch(`${gateway.url}/v1/models/m`)).json()).toMatchObject({ max_model_len: 4096 });
  });

  test('a model that the server does not list is refused with memory, and so is an adapter, which the list does not offer', async () => {
    const client = new Client(await gatewayFixture());
    const models = [{ id: 'm' }, { id: 'm/lora', parent: 'm' }];
    client.gateway.server.answer = (_, res) => void res.end(JSON.stringify({ object: 'list', data: models }));
    const list = (await (await fetch(`${client.gateway.url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toEqual(['m', 'm/lora', 'm+memory']);
    const asked = (model: string): Promise<Response> => client.post({ model, messages: [user('Hi')] });
    for (const [model, why] of [
      ['x+memory', 'no model "x"'],
      ['m/lora+memory', 'is an adapter'],
    ] as const) {
      const answer = await asked(model);
      expect(answer.status).toBe(404);
      expect(JSON.stringify(await answer.json())).toContain(JSON.stringify(why).slice(1, -1));
    }
    expect(await client.gateway.sessions()).toEqual([]);
    for (const model of ['m+memory', `${client.gateway.engine.model.id}+memory`])
      expect((await asked(model)).status).toBe(200);
  });

  test('a stream says in its headers where it is stored, as a whole answer does', async () => {
    const client = new Client(await gatewayFixture());
    for (const stream of [true, false]) {
      const answer = await client.post({ stream, messages: [user(`Streamed: ${stream}`)] });
      await answer.text();
      const ids = (await client.gateway.sessions()).map(({ session }) => session.id);
      expect(answer.headers.get('x-cwm-recorded')).toBe('yes');
      expect(ids).toContain(answer.headers.get('x-cwm-session'));
    }
  });

  test('a conversation that is longer than the context is one session, and each request gets an answer', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk(16);
    const [{ said } = { said: [] }, ...others] = await client.gateway.sessions();
    expect(others).toEqual([]);
    expect(said).toHaveLength(34);
    expect(client.gateway.passed).toEqual([]);
  });

  test('calls of the memory are answered here: the client gets one answer, and the usage of all that was sent', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk();
    const before = (await client.ask(user('And?'))).usage.prompt_tokens;
    client.gateway.engine.toolCalls = [[call('1', 'page_fault', { page_id: 'p1', target_level: 0 })]];
    const { choices, usage } = await client.ask(user('What is it called?'));
    expect(choices).toMatchObject([{ finish_reason: 'stop', message: { content: 'fine' } }]);
    expect(choices[0]?.message.tool_calls).toBeUndefined();
    expect(usage.prompt_tokens).toBeGreaterThan(before * 1.5);
    const [{ said } = { said: [] }] = await client.gateway.sessions();
    expect(JSON.stringify(said.slice(-4))).toContain(JSON.stringify(decision).slice(1, -1));
    await client.ask(user('Thanks.'));
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test('a model that calls the memory, or a tool that does not exist, for ever is asked 20 times, and then without tools', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk();
    const { engine } = client.gateway;
    engine.toolCalls = Array.from({ length: 40 }, (_, at) => [
      at % 2 === 0 ? call(`${at}`, 'search_pages', { query: 'heron' }) : call(`${at}`, 'no_such_tool', {}),
    ]);
    // Room, so that no request for a summary comes between.
    engine.model = { ...engine.model, maxModelLen: 65_536 };
    const before = engine.offered.length;
    const { choices } = await client.ask(user('What is it called?'));
    expect(choices).toMatchObject([{ finish_reason: 'stop' }]);
    expect(choices[0]?.message.tool_calls).toBeUndefined();
    const offered = engine.offered.slice(before);
    expect(offered).toHaveLength(21);
    expect(offered.map((names) => names.length > 0)).toEqual([...Array.from({ length: 20 }, () => true), false]);
    engine.toolCalls = [];
    expect((await client.ask(user('Thanks.'))).choices[0]?.message.content).toBe('fine');
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test('of an answer with calls of both, the client gets its own; its results and those of the memory come together', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk();
    const both = [call('1', 'page_fault', { page_id: 'p1', target_level: 0 }), call('2', 'weather', { at: '${v0}' })];
    client.gateway.engine.toolCalls = [both];
    const { choices } = await client.ask(user('What is it called, and how is the weather?'));
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: '2', function: { name: 'weather', arguments: '{"at":"${v0}"}' } }] },
    });
    expect(choices[0]?.message.tool_calls).toHaveLength(1);
    const after = await client.ask({ role: 'tool', tool_call_id: '2', content: 'It rains.' });
    expect(after.choices[0]?.message.content).toBe('fine');
    const [{ said } = { said: [] }] = await client.gateway.sessions();
    expect(said.slice(-4)).toMatchObject([
      { type: 'tool-calls', calls: [{ id: '1' }, { id: '2' }] },
      { type: 'tool-result', name: 'page_fault', outcome: 'done' },
      { type: 'tool-result', name: 'weather', text: 'It rains.', outcome: 'done' },
      { type: 'text', text: 'fine' },
    ]);
  });

  test.each([
    ['/v1/chat/completions', (text: string) => ({ messages: [user(text)] })],
    ['/v1/responses', (text: string) => ({ input: text })],
    ['/v1/messages', (text: string) => ({ messages: [user(text)] })],
  ])('%s, streamed and whole, has the answer and no call of the memory', async (path, asking) => {
    for (const stream of [true, false]) {
      const client = new Client(await gatewayFixture());
      const { engine } = client.gateway;
      engine.answer = 'It is heron.';
      engine.toolCalls = [[call('1', 'search_pages', { query: 'service' })]];
      // So long that it is a page at once: the tools of the memory are offered.
      const answer = await client.post(
        { ...asking(`${decision} ${'filler '.repeat(1_200)}`), stream, tools: [] },
        path,
      );
      const text = await answer.text();
      expect(answer.status).toBe(200);
      expect(text).toContain('heron');
      expect(text).not.toContain('search_pages');
      if (stream) expect(text).toMatch(/\[DONE\]|response\.completed|message_stop/);
      expect(engine.offered.flat()).toContain('search_pages');
    }
  });

  test('a request that changes an earlier message continues from the last one that is the same', async () => {
    const client = new Client(await gatewayFixture());
    await client.ask(user('One.'));
    await client.ask(user('Two.'));
    client.messages.splice(2);
    await client.ask(user('Another two.'));
    const sessions = await client.gateway.sessions();
    expect(sessions).toHaveLength(1);
    expect(Object.keys(sessions[0]!.session.branches)).toHaveLength(2);
  });

  test('after a restart the conversation goes on in its session', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk();
    client.gateway.engine.toolCalls = [[call('1', 'page_fault', { page_id: 'p1' })]];
    await client.ask(user('What is it called?'));
    await client.gateway.restart();
    await client.ask(user('Thanks.'));
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test('a request of Responses with only what is new goes on behind the answer that it names, also in the next process', async () => {
    const client = new Client(await gatewayFixture());
    const { engine } = client.gateway;
    const post = (input: unknown, previous?: string): Promise<Response> =>
      client.post({ input, tools: [], previous_response_id: previous, instructions: 'You code.' }, '/v1/responses');
    const ask = async (input: unknown, previous?: string): Promise<string> => {
      const answer = await post(input, previous);
      expect(answer.status).toBe(200);
      return ((await answer.json()) as { id: string }).id;
    };
    engine.toolCalls = [[call('1', 'search_pages', { query: 'service' })]];
    // So long that it is a page at once: the tools of the memory are offered.
    const one = await ask(`${decision} ${'filler '.repeat(1_200)}`);
    await client.gateway.restart();
    const two = await ask('And?', one);
    await client.gateway.restart();
    await ask([{ type: 'item_reference', id: two.replace('resp_', 'msg_') }, user('Once more')], one);
    client.headers = { 'x-cwm-client-name': 'other' };
    expect((await post('Mine?', two)).status).toBe(404);
    client.headers = {};
    await ask('Thanks.', two);
    const [{ session, said } = { session: null, said: [] }, ...others] = await client.gateway.sessions();
    expect(others).toEqual([]);
    expect(Object.keys(session?.branches ?? {})).toHaveLength(2);
    expect(said.slice(-5)).toMatchObject([
      { text: 'fine' },
      { role: 'user', text: 'And?' },
      { text: 'fine' },
      { role: 'user', text: 'Thanks.' },
      { text: 'fine' },
    ]);
  });

  test('what the model thought comes with a whole answer, as with a stream', async () => {
    const client = new Client(await gatewayFixture());
    const { engine } = client.gateway;
    const usual = engine.generate.bind(engine);
    engine.generate = async (request, onPiece, signal) => {
      onPiece({ reasoning: 'Hm.' });
      return { ...(await usual(request, onPiece, signal)), reasoning: 'Hm.' };
    };
    for (const stream of [false, true])
      expect(await (await client.post({ stream, messages: [user('Hi')] })).text()).toContain(
        '"reasoning_content":"Hm."',
      );
  });

  test('a client of a stream hears something while the model server takes long', async () => {
    const client = new Client(await gatewayFixture());
    const { promise: isSlow, resolve: hurry } = Promise.withResolvers<void>();
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
    client.gateway.engine.onCall = async (name) => {
      if (name !== 'generate') return;
      isAsked();
      await isSlow;
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const answer = client.post({ stream: true, messages: [user('Hi')] });
    await asked;
    vi.advanceTimersByTime(5_000);
    const { body } = await answer;
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toMatch(/^: cwm makes the prompt\n\n/);
    hurry();
    let rest = '';
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest += next.value;
    expect(rest).toContain('[DONE]');
  });

  test('a history that nobody knows becomes a session, and fits', async () => {
    const client = new Client(await gatewayFixture());
    for (let turn = 0; turn < 12; turn++)
      client.messages.push(user(`Turn ${turn}: ${'filler '.repeat(100)}`), { role: 'assistant', content: 'Yes.' });
    const { choices } = await client.ask(user('And now?'));
    expect(choices[0]?.message.content).toBe('fine');
    const [{ said } = { said: [] }] = await client.gateway.sessions();
    expect(said).toHaveLength(26);
  });

  test('what a long prompt takes is no time in which the model calls tools', async () => {
    const client = new Client(await gatewayFixture());
    await client.talk();
    const { engine, clock } = client.gateway;
    let isFirst = true;
    engine.onCall = async (name) => {
      if (name === 'generate' && isFirst) clock.advance(10 * 60_000);
      isFirst &&= name !== 'generate';
    };
    engine.toolCalls = [[call('1', 'page_fault', { page_id: 'p1', target_level: 0 })]];
    await client.ask(user('What is it called?'));
    const [{ said } = { said: [] }] = await client.gateway.sessions();
    expect(said.at(-2)).toMatchObject({ type: 'tool-result', name: 'page_fault', outcome: 'done' });
    expect(engine.offered.at(-1)).toContain('page_fault');
  });

  test('a server that tells no number of tokens is reported without one', async () => {
    const client = new Client(await gatewayFixture());
    client.gateway.engine.givesIds = false;
    expect(await client.ask(user('One.'))).not.toHaveProperty('usage');
  });

  test('two requests of one conversation at once come one after another, in its session', async () => {
    const client = new Client(await gatewayFixture());
    await client.ask(user('One.'));
    const answers = await Promise.all(
      ['Two.', 'A title?'].map((text) => client.post({ messages: [...client.messages, user(text)] })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test.each([
    ['/v1/chat/completions', (text: string) => ({ messages: [user(text)] }), /"error":/],
    ['/v1/responses', (text: string) => ({ input: text }), /response\.failed|"error"/],
    ['/v1/messages', (text: string) => ({ messages: [user(text)] }), /event: error/],
  ])('%s: an answer that breaks off ends with the error in the form of the client', async (path, asking, error) => {
    const client = new Client(await gatewayFixture());
    client.gateway.engine.generate = async (_, onPiece) => {
      onPiece({ text: 'It is ' });
      throw new CwmError('EngineFailed', 'The worker died.');
    };
    const text = await (await client.post({ ...asking('What is it called?'), stream: true, tools: [] }, path)).text();
    expect(text).toContain('It is ');
    expect(text).toMatch(error);
    expect(text).toContain('The worker died.');
  });

  test('what cannot be is refused in the format of the client', async () => {
    const client = new Client(await gatewayFixture());
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    const seen = { role: 'assistant', content: [picture] };
    for (const messages of [[seen, user('And?')], [{ role: 'assistant', content: 'Yes.' }]]) {
      const answer = await client.post({ messages });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { message: expect.any(String) as string } });
    }
    client.gateway.engine.fault = 'EngineUnavailable';
    expect((await client.post({ messages: [user('Hi')] })).status).toBe(502);
  });
});
