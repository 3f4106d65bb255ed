import { rm } from 'node:fs/promises';
import path from 'node:path';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Conversations } from '../../src/gateway/recognition/conversations.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { FaultyFiles } from '../store/faultyFiles.ts';
import { chunk, gatewayFixture } from './gatewayFixture.ts';

const user = (content: unknown): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });
const hi = [{ role: 'system', content: 'You are terse.' }, user('Say hi')];

describe('a chat through the gateway', () => {
  test('two turns are one session with four messages, and the prompt of the client', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    await gateway.chat([...hi, assistant('Answer 1.'), user([{ type: 'text', text: 'And again' }])]);
    const [{ session, said } = { session: null, said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(said).toEqual([
      { role: 'user', type: 'text', text: 'Say hi' },
      { role: 'assistant', type: 'text', text: 'Answer 1.' },
      { role: 'user', type: 'text', text: 'And again' },
      { role: 'assistant', type: 'text', text: 'Answer 2.' },
    ]);
    expect(session).toMatchObject({ title: 'Say hi', phase: 'Idle', engine: gateway.engine.spec });
    expect(session?.settings?.systemPrompt?.text).toBe('You are terse.');
    expect(session?.tokens).toMatchObject({ count: 3, promptCount: 3, source: 'engine' });
  });

  test('a turn that follows at once is stored together with the one before it, each answer with what the server saw', async () => {
    const gateway = await gatewayFixture();
    const append = vi.spyOn(gateway.store.messages, 'append');
    const ask = async (messages: readonly object[]): Promise<void> =>
      void (await (await gateway.post('/v1/chat/completions', { model: 'm', messages, stream: true })).text());
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await ask(hi);
    const second = [...hi, assistant('Answer 1.'), user('And again')];
    await ask(second);
    await ask([...second, assistant('Answer 2.'), user('And again')]);
    vi.useRealTimers();
    const [{ session, said } = { session: null, said: [] }] = await gateway.sessions();
    expect(said.flatMap((each) => ('text' in each ? each.text : []))).toEqual([
      'Say hi',
      'Answer 1.',
      'And again',
      'Answer 2.',
      'And again',
      'Answer 3.',
    ]);
    expect(append).toHaveBeenCalledOnce();
    const { items } = await gateway.cwm.listMessages({ session: session!.id });
    const contexts = items.flatMap(({ role, context }) => (role === 'assistant' ? [context] : []));
    expect(contexts.map((each) => each && [each.count, each.messageCount])).toEqual([
      [3, 2],
      [3, 4],
      [3, 6],
    ]);
    expect(new Set(contexts.map((each) => each?.sha256))).toHaveProperty('size', 3);
  });

  test('S1-35 the tokens of each turn count for its session, and its answer says them', async () => {
    const took: unknown[][] = [];
    const gateway = await gatewayFixture(undefined, { onTook: (...given) => void took.push(given) });
    await gateway.chat(hi);
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    const [{ session } = { session: null }] = await gateway.sessions();
    const taken = { model: session!.model!.id, promptTokens: 20, cachedTokens: 16, outputTokens: 2 };
    expect(took).toEqual([
      [session!.id, taken],
      [session!.id, taken],
    ]);
    const { items } = await gateway.cwm.listMessages({ session: session!.id });
    expect(items.flatMap((message) => message.taken ?? [])).toEqual([taken, taken]);
  });

  test('a branch beside an answer that is not stored yet is stored after it', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const behind = [...hi, assistant('Answer 1.')];
    for (const text of ['One way', 'Another way'])
      await (await gateway.post('/v1/chat/completions', { model: 'm', messages: [...behind, user(text)] })).text();
    const [{ session } = { session: null }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(Object.values(session!.branches).map(({ length }) => length)).toEqual([4, 4]);
  });

  test('a chat that is not streamed is the same, and shows no ids that the client did not ask for', async () => {
    const gateway = await gatewayFixture();
    const answer = await gateway.post('/v1/chat/completions', { model: 'm', messages: hi });
    expect(await answer.json()).not.toHaveProperty('prompt_token_ids');
    const [{ said } = { said: [] }] = await gateway.sessions();
    expect(said.map(({ role }) => role)).toEqual(['user', 'assistant']);
  });

  test('the server gets what the client wrote, its own key and a salt; the client gets what it asked for', async () => {
    const gateway = await gatewayFixture();
    const written =
      '{"model":"m","temperature":1.0,"stream":true,"messages":[{"role":"user","content":"Say hi"}],"x_new":{"b":1,"a":2}}';
    const answer = await gateway.post('/v1/chat/completions', written, { authorization: 'Bearer mine', 'x-new': '1' });
    const text = await answer.text();
    const [sent] = gateway.passed;
    expect(sent?.text.endsWith(written.slice(1))).toBe(true);
    expect(sent?.headers).toMatchObject({ authorization: 'Bearer key of the server', 'x-new': '1' });
    expect(sent?.body['cache_salt']).toMatch(/^[0-9a-f]{64}$/);
    expect(text).not.toContain('token_ids');
    expect(text).not.toContain('"usage"');
    expect(text).toContain(': cwm reused 16 of 20 prompt tokens');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('a client that asks for usage gets it', async () => {
    const gateway = await gatewayFixture();
    const body = { model: 'm', messages: hi, stream: true, stream_options: { include_usage: true } };
    expect(await (await gateway.post('/v1/chat/completions', body)).text()).toContain('"cached_tokens":16');
  });

  test('conversations of a project share their salt, other projects have another one', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat([user('Red?')], {}, '/p/one/v1');
    await gateway.chat([user('Blue?')], {}, '/p/one/v1');
    await gateway.chat([user('Blue?')], {}, '/p/two/v1');
    const [one, same, other] = gateway.passed.map(({ body }) => body['cache_salt']);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    const projects = (await gateway.sessions()).map(({ session }) => session.project);
    expect(new Set(projects)).toEqual(new Set(['project://one', 'project://two']));
    expect(projects).toHaveLength(3);
  });

  test('a fork is a branch of the session, at the message that both have', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    await gateway.chat([...hi, assistant('Answer 1.'), user('Another way')]);
    const [{ session, said } = { session: null, said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(Object.values(session?.branches ?? {})).toMatchObject([
      { name: 'main', length: 4 },
      { name: 'branch-2', length: 4, parentMessageId: expect.any(String) },
    ]);
    expect(said.at(-1)).toMatchObject({ text: 'Answer 3.' });
  });

  test('a call of a tool and its result are messages of their own kind', async () => {
    const gateway = await gatewayFixture();
    const call = { id: 'call_1', type: 'function', function: { name: 'read', arguments: '{"path": "a.txt"}' } };
    const usual = gateway.server.answer;
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(chunk({ role: 'assistant', content: null, tool_calls: [{ index: 0, ...call }] }));
      res.end('data: [DONE]\n\n');
    };
    await gateway.chat(hi);
    gateway.server.answer = usual;
    const compact = { ...call, function: { name: 'read', arguments: '{"path":"a.txt"}' } };
    await gateway.chat([
      ...hi,
      { role: 'assistant', content: '', tool_calls: [compact] },
      { role: 'tool', tool_call_id: 'call_1', content: 'Red.' },
    ]);
    const [{ said } = { said: [] }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(said).toMatchObject([
      { type: 'text' },
      { type: 'tool-calls', calls: [{ id: 'call_1', name: 'read', arguments: '{"path": "a.txt"}' }] },
      { type: 'tool-result', call: 'call_1', name: 'read', text: 'Red.' },
      { type: 'text', text: 'Answer 1.' },
    ]);
  });

  test('a client that leaves ends the answer at the server, and its part is stored as stopped', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(chunk({ content: 'Once upon' }));
    };
    const stop = new AbortController();
    const answer = await gateway.post('/v1/chat/completions', { messages: hi, stream: true }, {}, stop.signal);
    await answer.body?.getReader().read();
    stop.abort();
    await gateway.passed[0]?.left;
    await expect
      .poll(() => gateway.sessions())
      .toMatchObject([
        { session: { phase: 'Idle' }, said: [{ text: 'Say hi' }, { text: 'Once upon', cut: 'stopped' }] },
      ]);
  });

  test('a stream that the server ends too early, but cleanly, says so', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) =>
      void res.writeHead(200, { 'content-type': 'text/event-stream' }).end(chunk({ content: 'Once upon' }));
    const { text } = await gateway.chat(hi);
    expect(text).toContain('"error":{"message":"The model server ended its answer too early."');
    expect(await gateway.sessions()).toMatchObject([{ said: [{}, { text: 'Once upon', cut: 'failed' }] }]);
  });

  test('an answer that ends before its first word is a turn, and the conversation goes on behind it', async () => {
    const gateway = await gatewayFixture();
    const { answer } = gateway.server;
    gateway.server.answer = (_, res) => {
      const choices = [{ index: 0, delta: {}, finish_reason: 'stop' }];
      res.writeHead(200, { 'content-type': 'text/event-stream' }).end(`${chunk({}, { choices })}data: [DONE]\n\n`);
    };
    await gateway.chat(hi);
    gateway.server.answer = answer;
    await gateway.chat([...hi, assistant(''), user('And again')]);
    const texts = [{ text: 'Say hi' }, { text: '' }, { text: 'And again' }, { text: 'Answer 1.' }];
    expect((await gateway.sessions()).map(({ said }) => said)).toMatchObject([texts]);
  });

  test('a conversation of which the server refused every request is forgotten', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => void res.writeHead(400).end('{"error":{"message":"too long"}}');
    const session = async (): Promise<string | null> =>
      (await gateway.post('/v1/chat/completions', { messages: hi })).headers.get('x-cwm-session');
    const first = await session();
    expect(first).not.toBeNull();
    expect(await session()).not.toBe(first);
  });

  test.each([
    [429, { 'retry-after': '7', 'content-type': 'application/json' }, '{"error":{"message":"busy"}}'],
    [404, { 'content-type': 'application/json' }, '{"error":{"message":"The model `x` does not exist."}}'],
    [502, { 'content-type': 'text/html' }, '<html>Bad gateway</html>'],
    [200, { 'content-type': 'text/html' }, '<html>Hello</html>'],
  ])('an answer of the server with status %i comes as it is, and is no turn', async (status, headers, body) => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => void res.writeHead(status, headers).end(body);
    const answer = await gateway.post('/v1/chat/completions', { messages: hi, stream: true });
    expect(answer.status).toBe(status);
    for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value);
    expect(await answer.text()).toBe(body);
    expect(await gateway.sessions()).toEqual([]);
  });

  test.each(['{"messages":', '[1]', '{}', '"x"'])('what is no request is refused in words: %s', async (body) => {
    const gateway = await gatewayFixture();
    const answer = await gateway.post('/v1/chat/completions', body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(await answer.json()).toMatchObject({
      error: { message: expect.any(String), type: 'invalid_request_error' },
    });
    expect(gateway.passed).toEqual([]);
  });

  test('a route that is no inference is not there', async () => {
    const gateway = await gatewayFixture();
    for (const path of ['/v1/load_lora_adapter', '/v1/slots/0', '/v1/cache/reset'])
      expect((await gateway.post(path, {})).status).toBe(404);
    expect((await fetch(`${gateway.url}/v1/chat/completions`)).status).toBe(405);
    expect(gateway.passed).toEqual([]);
  });

  test('no spelling of a path leads to another route of the server', async () => {
    const gateway = await gatewayFixture();
    const { port } = new URL(gateway.url);
    for (const path of [
      '..\\..\\slots',
      '%2e%2e%2fslots',
      '..%5cslots',
      '..',
      '.%2e/slots',
      '%252e%252e%252fslots',
      'a\tb',
    ]) {
      const raw = request({ port, path: `/v1/models/${path.replace('\t', '%09')}` }).end();
      const [answer] = (await once(raw, 'response')) as [IncomingMessage];
      expect([path, answer.resume().statusCode]).toEqual([path, 404]);
    }
    expect(gateway.passed).toEqual([]);
    gateway.server.answer = (_, res) => void res.end('{}');
    await fetch(`${gateway.url}/v1/models/google%2Fgemma-3:270m?x=%2e%2e`);
    expect(gateway.passed).toMatchObject([{ path: '/v1/models/google%2Fgemma-3:270m?x=%2e%2e' }]);
  });

  test('strange numbers of calls, roles and depths are no reason to break an answer', async () => {
    const gateway = await gatewayFixture();
    const usual = gateway.server.answer;
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const strange = { index: 1, id: 'call_1', function: { name: 'read', arguments: '{}' } };
      res.end(
        `${chunk({ tool_calls: [strange] })}${chunk({ tool_calls: [{ ...strange, index: 4e9 }] })}data: [DONE]\n\n`,
      );
    };
    await gateway.chat(hi);
    expect((await gateway.sessions())[0]?.said[1]).toMatchObject({ calls: [{ name: 'read' }, { name: 'read' }] });
    gateway.server.answer = usual;
    const deep = `${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}`;
    const called = { id: 'call_1', type: 'function', function: { name: 'read', arguments: deep } };
    await gateway.chat([
      user('Deep?'),
      { role: 'assistant', content: '', tool_calls: [called] },
      { role: 'constructor', content: 'Yes' },
    ]);
    expect(gateway.failures).toEqual([]);
    expect((await gateway.sessions()).flatMap(({ said }) => said).at(-1)).toMatchObject({ role: 'assistant' });
    const block = { type: 'tool_use', id: 'call_1', name: 'read', input: '@' };
    const messages = JSON.stringify([{ role: 'assistant', content: [block] }]).replace('"@"', deep);
    expect((await gateway.post('/v1/messages', `{"model":"m","messages":${messages}}`)).status).toBe(400);
  });

  test('what cannot be recognised or recorded passes all the same', async () => {
    const gateway = await gatewayFixture();
    const add = vi.spyOn(Conversations.prototype, 'add').mockImplementation(() => {
      throw new Error('broken');
    });
    expect((await gateway.chat(hi)).text).toContain('Answer 1.');
    add.mockRestore();
    expect(gateway.failures).toHaveLength(1);
  });

  test('a body that is no text passes as its bytes', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => void res.end('{}');
    const bytes = Uint8Array.of(0x52, 0x49, 0xff, 0xfe, 0x00, 0x80);
    await gateway.post('/v1/audio/transcriptions', new Blob([bytes]), { 'content-type': 'audio/wav' });
    expect(gateway.passed[0]?.bytes).toEqual(Buffer.from(bytes));
  });

  test('models, embeddings and the like pass on and are no turns', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) =>
      void res.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[]}');
    expect(await (await fetch(`${gateway.url}/v1/models`)).json()).toEqual({ data: [] });
    await gateway.post('/v1/embeddings', { input: 'x' });
    expect(gateway.passed.map(({ path }) => path)).toEqual(['/v1/models', '/v1/embeddings']);
    expect(await gateway.sessions()).toEqual([]);
  });

  test('a server that is away is said in the form of the client', async () => {
    const gateway = await gatewayFixture();
    gateway.server.url = 'http://127.0.0.1:9';
    const answer = await gateway.post('/v1/chat/completions', { messages: hi });
    expect(answer.status).toBe(502);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(await answer.json()).toMatchObject({
      error: { message: expect.stringContaining('cannot be reached'), code: expect.any(String) },
    });
  });

  test('an answer that cannot be stored passes all the same, and is stored with the next one', async () => {
    const faulty = new FaultyFiles(diskFiles);
    const gateway = await gatewayFixture(faulty.files);
    await gateway.chat(hi);
    const again = [...hi, assistant('Answer 1.'), user('And again')];
    faulty.fillFrom(0);
    const { text } = await gateway.chat(again);
    expect(text).toContain('Answer 2.');
    expect(gateway.failures).toHaveLength(1);
    faulty.heal();
    const { answer } = await gateway.chat([...again, assistant('Answer 2.'), user('Once more')]);
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(answer.headers.get('x-cwm-why')).toContain('disk');
    const [{ said } = { said: [] }] = await gateway.sessions();
    expect(said.map((message) => ('text' in message ? message.text : ''))).toEqual([
      'Say hi',
      'Answer 1.',
      'And again',
      'Answer 2.',
      'Once more',
      'Answer 3.',
    ]);
  });

  test('the next process recognises the conversation, its forks and the id of the client', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi, { 'x-session-id': 'ses_1' });
    await gateway.restart();
    const again = [...hi, assistant('Answer 1.'), user('And again')];
    await gateway.chat(again);
    await gateway.restart();
    await gateway.chat([
      { role: 'system', content: 'Another date.' },
      user('Changed'),
      assistant('Answer 1.'),
      user('Then'),
    ]);
    await gateway.restart();
    const title = [{ role: 'system', content: 'You name things.' }, user('Name it')];
    expect((await gateway.chat(title, { 'x-session-id': 'ses_1' })).answer.headers.get('x-cwm-recorded')).toBe('no');
    const all = await gateway.sessions();
    expect(all).toHaveLength(1);
    expect(all[0]?.session.branches).toMatchObject({ main: { length: 4 }, 'branch-2': { length: 4 } });
  });

  test('the same key of a cache in two projects is two sessions', async () => {
    const gateway = await gatewayFixture();
    for (const project of ['one', 'two']) {
      const body = { messages: [user(`In ${project}`)], prompt_cache_key: 'constant' };
      await (await gateway.post(`/p/${project}/v1/chat/completions`, body)).text();
    }
    const all = await gateway.sessions();
    expect(new Set(all.map(({ session }) => session.project))).toEqual(new Set(['project://one', 'project://two']));
    expect(all.map(({ said }) => said.length)).toEqual([2, 2]);
  });

  test('what is about a conversation of the last process becomes no session', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat([hi[0]!, user('Where does the river begin?')]);
    await gateway.restart();
    await gateway.chat([hi[0]!, user('Where does the river begin?'), assistant('Answer 1.'), user('And its end?')]);
    const notes = [{ role: 'system', content: 'You look after notes.' }, user('Transcript:\nuser: And its end?')];
    expect((await gateway.chat(notes)).answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(await gateway.sessions()).toHaveLength(1);
  });

  test('a session that was deleted is begun again with all that the client sends', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [first] = await gateway.sessions();
    await gateway.cwm.deleteSession({ session: first?.session.id ?? '' });
    await gateway.restart();
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    const all = await gateway.sessions();
    expect(all).toHaveLength(1);
    expect(all[0]?.said).toHaveLength(4);
    expect(all[0]?.session.id).not.toBe(first?.session.id);
  });

  test('lines of the journal that could not be written are written with the next ones', async () => {
    const gateway = await gatewayFixture();
    gateway.journal.isFull = true;
    await gateway.chat(hi);
    expect(gateway.failures).toHaveLength(1);
    gateway.journal.isFull = false;
    const again = [...hi, assistant('Answer 1.'), user('And again')];
    await gateway.chat(again);
    await gateway.restart();
    await gateway.chat([...again, assistant('Answer 2.'), user('Once more')]);
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([6]);
  });

  test('damaged lines of the journal are set aside, and the others are read', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const damaged = ['{"s":"half of a li', '[]', '{"s":"x","m":"y"}', '\u0000'];
    for (const line of damaged) gateway.journal.damage(line);
    await gateway.restart();
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
    expect(gateway.journal.damaged).toEqual(damaged);
    expect(gateway.failures).toMatchObject([{ name: 'Corrupted' }]);
  });

  test('nothing of a project that is not recorded becomes a session, and the answer says so', async () => {
    const gateway = await gatewayFixture();
    await gateway.store.projects.setRecorded('project://demo' as never, false);
    const { answer } = await gateway.chat(hi, {}, '/p/demo/v1');
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(answer.headers.get('x-cwm-why')).toBe('The project is not recorded.');
    expect(await gateway.sessions()).toEqual([]);
    await gateway.store.projects.setRecorded('project://demo' as never, true);
    gateway.projectChanged();
    await gateway.chat(hi, {}, '/p/demo/v1');
    expect(await gateway.sessions()).toHaveLength(1);
  });

  test('a refused message leaves nothing behind in a conversation that has answers', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const usual = gateway.server.answer;
    gateway.server.answer = (_, res) => void res.writeHead(400).end('{"error":{"message":"too long"}}');
    await gateway.chat([...hi, assistant('Answer 1.'), user('Far too long')]);
    gateway.server.answer = usual;
    const { text } = await gateway.chat([...hi, assistant('Answer 1.'), user('Short')]);
    expect(text).not.toContain('changed');
    const [{ session, said } = { session: null, said: [] }] = await gateway.sessions();
    expect(Object.keys(session?.branches ?? {})).toEqual(['main']);
    expect(said).toHaveLength(4);
  });

  test('S0-62 requests past a limit of the rate pass, say so, and are stored with the next answer', async () => {
    const many = 'This client has reached its limit of 1 changes a minute.';
    const why: (string | null)[] = [null, many, many, null];
    const gateway = await gatewayFixture(diskFiles, { whyTooMany: () => why.shift() ?? null });
    const messages: object[] = [];
    const told: (string | null)[][] = [];
    for (let turn = 1; turn <= 4; turn++) {
      messages.push({ role: 'user', content: `Question ${turn}` });
      const { answer } = await gateway.chat(messages);
      told.push([answer.headers.get('x-cwm-recorded'), answer.headers.get('x-cwm-why')]);
      messages.push({ role: 'assistant', content: `Answer ${turn}.` });
      expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([turn === 4 ? 8 : 2]);
    }
    expect(told).toEqual([
      ['yes', null],
      ['no', many],
      ['no', many],
      ['yes', null],
    ]);
  });

  test('S0-62 what a limit of the rate kept back is stored by itself once the client may, and at the end in any case', async () => {
    let why: string | null = 'many';
    const gateway = await gatewayFixture(diskFiles, { whyTooMany: () => why });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const label = (text: string) => gateway.chat([user(text)]);
    const later = async () => {
      await vi.advanceTimersByTimeAsync(30_000);
      await gateway.settled();
      return (await gateway.sessions()).length;
    };
    for (const text of ['One', 'Two', 'Three']) await label(text);
    expect(await later()).toBe(0);
    expect(gateway.clients().items.flatMap(({ unrecorded }) => unrecorded)).toHaveLength(3);
    why = null;
    expect(await later()).toBe(3);
    expect(gateway.clients().items.flatMap(({ unrecorded }) => unrecorded)).toEqual([]);
    why = 'many';
    await label('Four');
    vi.useRealTimers();
    await gateway.restart();
    expect(await gateway.sessions()).toHaveLength(4);
  });

  test('S0-62 what a limit of the rate kept back is neither lost nor forgotten when another branch is stored', async () => {
    const why: (string | null)[] = [null, 'many'];
    const gateway = await gatewayFixture(diskFiles, { whyTooMany: () => why.shift() ?? null });
    const begin = [...hi, assistant('Answer 1.')];
    await gateway.chat(hi);
    await gateway.chat([...begin, user('Two')]);
    await gateway.chat([...begin, user('Another two')]);
    expect(gateway.clients().items.flatMap(({ unrecorded }) => unrecorded)).toHaveLength(1);
    await gateway.restart();
    const [{ session } = { session: null }, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(Object.keys(session?.branches ?? {})).toHaveLength(2);
  });

  test('S0-62 an answer that was kept back is stored as what it was: broken off, with what it took', async () => {
    const why: (string | null)[] = ['many'];
    const gateway = await gatewayFixture(diskFiles, { whyTooMany: () => why.shift() ?? null });
    const usual = gateway.server.answer;
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.end(chunk({ content: 'Half' }));
    };
    await gateway.chat(hi);
    gateway.server.answer = usual;
    await gateway.chat([...hi, assistant('Half'), user('Go on')]);
    const [{ session } = { session: null }] = await gateway.sessions();
    const { items } = await gateway.cwm.listMessages({ session: session?.id ?? '' });
    expect(items[1]).toMatchObject({ cut: 'failed', taken: { model: expect.any(String) as unknown } });
  });

  test('S0-62 what is not stored of more than 200 conversations is forgotten with the oldest, and comes again with its next turn', async () => {
    let why: string | null = 'many';
    const gateway = await gatewayFixture(diskFiles, { whyTooMany: () => why });
    await gateway.chat(hi);
    for (let each = 1; each <= 200; each++) await gateway.chat([user(`Label ${each}`)]);
    expect(gateway.clients().items.flatMap(({ unrecorded }) => unrecorded)).toHaveLength(200);
    why = null;
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
  });

  test('S0-62 a session that the limit keeps out stands in the way of none that is there', async () => {
    const faulty = new FaultyFiles(diskFiles);
    const gateway = await gatewayFixture(faulty.files, { limits: { sessions: { soft: 1, hard: 1 } } });
    await gateway.chat(hi);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await gateway.chat([user('Red?')]);
    faulty.fillFrom(0);
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    faulty.heal();
    await vi.advanceTimersByTimeAsync(30_000);
    await gateway.settled();
    vi.useRealTimers();
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
  });

  test('an answer that comes while its session is frozen is named as missing, and stored once that is thawed', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [{ session } = { session: null }] = await gateway.sessions();
    const id = session?.id ?? '';
    await gateway.cwm.freeze({ session: id, window: 'w' });
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect(gateway.clients().items.flatMap(({ unrecorded }) => unrecorded)).toMatchObject([{ session: id }]);
    await gateway.cwm.thaw({ window: 'w', resume: true });
    await gateway.restart();
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
  });

  test("a refusal of the model server is shown in the server's words", async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_, res) => void res.writeHead(404).end('{"error":{"message":"No such model."}}');
    await gateway.chat(hi);
    expect(gateway.clients().items.map(({ lastFailure }) => lastFailure)).toEqual(['404: No such model.']);
  });

  test('a full disk stands in the way of no request, and what passed is stored with the next answer', async () => {
    const faulty = new FaultyFiles(diskFiles);
    const gateway = await gatewayFixture(faulty.files);
    faulty.fillFrom(0);
    const { text } = await gateway.chat(hi, {}, '/p/new/v1');
    expect(text).toContain('Answer 1.');
    expect(await gateway.sessions()).toEqual([]);
    faulty.heal();
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')], {}, '/p/new/v1');
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
    await gateway.restart();
    await gateway.chat([user('Red?')], {}, '/p/new/v1');
    expect(new Set(gateway.passed.map(({ body }) => body['cache_salt'])).size).toBe(1);
  });

  test('S0-62 past the limit of sessions, the first answer of a conversation says that it is not recorded', async () => {
    const sessions = { soft: 1, hard: 1 };
    const gateway = await gatewayFixture(diskFiles, { limits: { sessions } });
    expect((await gateway.chat(hi)).answer.headers.get('x-cwm-recorded')).toBe('yes');
    const red = [user('Red?')];
    const { answer, text } = await gateway.chat(red);
    expect(text).toContain('Answer 2.');
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(answer.headers.get('x-cwm-why')).toContain('1 sessions, which is the limit');
    const again = await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect(again.answer.headers.get('x-cwm-recorded')).toBe('yes');
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
    const [{ session } = { session: null }] = await gateway.sessions();
    await gateway.cwm.deleteSession({ session: session!.id });
    const more = [...red, assistant('Answer 2.'), user('Blue?')];
    expect((await gateway.chat(more)).answer.headers.get('x-cwm-recorded')).toBe('no');
    expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
    const last = [...more, assistant('Answer 4.'), user('Green?')];
    expect((await gateway.chat(last)).answer.headers.get('x-cwm-recorded')).toBe('yes');
  });

  test('on a full disk, the first answer of a conversation says that it is not recorded', async () => {
    const gateway = await gatewayFixture();
    gateway.disk.freeBytes = 0;
    const { answer } = await gateway.chat(hi);
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(answer.headers.get('x-cwm-why')).toContain('full');
  });

  test('what a full disk kept from the record is shown, counts for every conversation, and is stored when there is room', async () => {
    const faulty = new FaultyFiles(diskFiles);
    const gateway = await gatewayFixture(faulty.files);
    await gateway.chat(hi);
    const again = [...hi, assistant('Answer 1.'), user('And again')];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    faulty.fillFrom(0);
    await gateway.chat(again, { 'x-cwm-client-name': 'codex' });
    const [{ session } = { session: null }] = await gateway.sessions();
    const shown = () => gateway.clients().items.flatMap(({ unrecorded }) => unrecorded);
    expect(shown()).toEqual([
      { session: session!.id, why: expect.stringContaining('is full'), since: expect.any(String) },
    ]);
    const other = await gateway.chat([user('Red?')]);
    expect(other.answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(other.answer.headers.get('x-cwm-why')).toContain('is full');
    expect(shown()).toHaveLength(2);
    const failures = gateway.failures.length;
    await vi.advanceTimersByTimeAsync(30_000);
    await gateway.settled();
    expect(shown()).toHaveLength(2);
    expect(gateway.failures).toHaveLength(failures);
    faulty.heal();
    await vi.advanceTimersByTimeAsync(30_000);
    vi.useRealTimers();
    const stored = await gateway.sessions();
    expect(stored.map(({ said }) => said.length).toSorted((one, other) => one - other)).toEqual([2, 4]);
    expect(shown()).toEqual([]);
    const next = await gateway.chat([...again, assistant('Answer 2.'), user('Once more')]);
    expect(next.answer.headers.get('x-cwm-recorded')).toBe('yes');
    expect((await gateway.sessions()).map(({ said }) => said.length).toSorted((one, other) => one - other)).toEqual([
      2, 6,
    ]);
  });

  test('a frozen session whose window is gone goes on from its text', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [{ session } = { session: null }] = await gateway.sessions();
    const id = session?.id ?? '';
    await gateway.cwm.freeze({ session: id, window: 'w' });
    await rm(path.join(gateway.directory, 'windows'), { recursive: true });
    gateway.sessionChanged(id);
    const { answer, text } = await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect(text).toContain('Answer 2.');
    expect(answer.headers.get('x-cwm-recorded')).toBe('yes');
    expect(gateway.failures).toEqual([]);
    const [only, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(only?.session.id).toBe(id);
    expect(only?.said).toHaveLength(4);
  });

  test('a freeze that nobody heard of costs one turn, which the next one stores', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [{ session } = { session: null }] = await gateway.sessions();
    await gateway.cwm.freeze({ session: session?.id ?? '', window: 'w' });
    const again = [...hi, assistant('Answer 1.'), user('And again')];
    await gateway.chat(again);
    await gateway.chat([...again, assistant('Answer 2.'), user('Once more')]);
    const [after, ...others] = await gateway.sessions();
    expect(others).toEqual([]);
    expect(after?.said).toHaveLength(6);
  });

  test('a session that has expired goes on as another one', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [{ session } = { session: null }] = await gateway.sessions();
    const soon = new Date(gateway.clock.now().getTime() + 5000).toISOString();
    await gateway.cwm.setExpiry({ session: session?.id ?? '', expiresAt: soon });
    while (gateway.clock.now().toISOString() <= soon);
    gateway.sessionChanged(session?.id ?? '');
    const { answer } = await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect(answer.headers.get('x-cwm-recorded')).toBe('yes');
    expect((await gateway.sessions()).map(({ said }) => said.length).sort((one, other) => one - other)).toEqual([2, 4]);
  });

  test('a frozen session is thawed by its next turn, as itself', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const [{ session } = { session: null }] = await gateway.sessions();
    await gateway.cwm.freeze({ session: session?.id ?? '', window: 'w' });
    gateway.sessionChanged(session?.id ?? '');
    await gateway.chat([...hi, assistant('Answer 1.'), user('And again')]);
    expect(gateway.failures).toEqual([]);
    const [after] = await gateway.sessions();
    expect(after?.session).toMatchObject({ id: session?.id, lifecycle: 'active' });
    expect(after?.said).toHaveLength(4);
  });
});
