import { describe, expect, test, vi } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import { gatewayFixture, type GatewayFixture } from './gatewayFixture.ts';
import { call, MemoryClient, user } from './memoryClient.ts';

const system = (content: string): object => ({ role: 'system', content });
const result = (id: string, content: string): object => ({ role: 'tool', tool_call_id: id, content });
const said = (content: string): object => ({ role: 'assistant', content });

/** Another client of the same gateway, or another conversation. */
const another = (gateway: GatewayFixture, ...messages: object[]): MemoryClient => {
  const client = new MemoryClient(gateway);
  client.messages.push(...messages);
  return client;
};

const textOf = async (gateway: GatewayFixture, at = 0): Promise<readonly string[]> =>
  (await gateway.sessions())[at]!.said.map((each) => ('text' in each ? each.text : each.type));

describe('the session that a request with memory continues', () => {
  test('conversations of two clients that begin alike stay two', async () => {
    const gateway = await gatewayFixture();
    const [one, two] = [another(gateway), another(gateway)];
    one.headers = { 'x-cwm-client-name': 'one' };
    two.headers = { 'x-cwm-client-name': 'two' };
    for (const client of [one, two]) await client.ask(user('hi'));
    for (const restarts of [false, true]) {
      if (restarts) await gateway.restart();
      await one.ask(user('secret of one'));
      await two.ask(user('of two'));
    }
    const sessions = await gateway.sessions();
    expect(sessions).toHaveLength(2);
    for (const { session, said } of sessions) {
      expect(Object.keys(session.branches)).toHaveLength(1);
      expect(JSON.stringify(said).includes('of two')).toBe(session.tags?.includes('two'));
      expect(JSON.stringify(said).includes('secret of one')).toBe(session.tags?.includes('one'));
    }
  });

  test('conversations of one client that begin alike under two system prompts stay two', async () => {
    const gateway = await gatewayFixture();
    const [one, two] = [another(gateway, system('Be one.')), another(gateway, system('Be two.'))];
    for (const client of [one, two]) await client.ask(user('hi'));
    await one.ask(user('secret of one'));
    await two.ask(user('of two'));
    const sessions = await gateway.sessions();
    expect(sessions).toHaveLength(2);
    for (const { session, said } of sessions)
      expect(JSON.stringify(said).includes('of two')).toBe(session.settings?.systemPrompt?.text === 'Be two.');
  });

  test('a conversation whose system prompt changes with each request stays one', async () => {
    const gateway = await gatewayFixture();
    const client = another(gateway, system('It is 1 o’clock.'));
    await client.ask(user('hi'));
    for (const hour of [2, 3]) {
      client.messages[0] = system(`It is ${hour} o’clock.`);
      await client.ask(user(`At ${hour}`));
    }
    expect(await gateway.sessions()).toHaveLength(1);
  });

  test('two runs of one task keep their results apart, by the ids of their calls', async () => {
    const gateway = await gatewayFixture();
    const [one, two] = [another(gateway), another(gateway)];
    for (const [id, client] of [
      ['a', one],
      ['b', two],
    ] as const) {
      gateway.engine.toolCalls = [[call(id, 'weather', {})]];
      await client.ask(user('Do it'));
    }
    await one.ask(result('a', 'RESULT OF A'));
    await two.ask(result('b', 'RESULT OF B'));
    const texts = [await textOf(gateway, 0), await textOf(gateway, 1)];
    expect(texts).toContainEqual(['Do it', '', 'RESULT OF A', 'fine']);
    expect(texts).toContainEqual(['Do it', '', 'RESULT OF B', 'fine']);
  });

  test('a client that writes the ids of calls anew loses no result', async () => {
    const client = another(await gatewayFixture());
    client.gateway.engine.toolCalls = [[call('1', 'weather', { at: 'A' }), call('2', 'weather', { at: 'B' })]];
    await client.ask(user('Do it'));
    const [asked] = client.messages.splice(1) as [{ tool_calls: { id: string }[] }];
    const renamed = asked.tool_calls.map((each) => ({ ...each, id: `new-${each.id}` }));
    await client.ask({ ...asked, tool_calls: renamed }, result('new-1', 'Rain'), result('new-2', 'Sun'));
    expect(await client.gateway.sessions()).toHaveLength(1);
    expect(await textOf(client.gateway)).toEqual(['Do it', '', 'Rain', 'Sun', 'fine']);
  });

  test('results of calls that nobody made take the whole conversation to another session, and are not lost', async () => {
    const client = another(await gatewayFixture());
    client.gateway.engine.toolCalls = [[call('1', 'weather', {})]];
    await client.ask(user('Do it'));
    await client.ask(result('x', 'Rain'), result('y', 'Sun'));
    expect((await client.gateway.sessions()).length).toBe(2);
    expect(await textOf(client.gateway)).toEqual(['Do it', '', 'Rain', 'Sun', 'fine']);
  });

  test('the same request again, after the model server failed behind results, goes on behind them', async () => {
    const client = another(await gatewayFixture());
    const { engine } = client.gateway;
    engine.toolCalls = [[call('1', 'weather', {})]];
    await client.ask(user('Do it'));
    client.messages.push(result('1', 'Rain'));
    engine.onCall = async () => {
      throw new CwmError('EngineFailed', 'Out of memory.');
    };
    expect((await client.post({ messages: client.messages })).ok).toBe(false);
    engine.onCall = async () => {};
    await client.again();
    expect(await client.gateway.sessions()).toHaveLength(1);
    expect(await textOf(client.gateway)).toEqual(['Do it', '', 'Rain', 'fine']);
  });

  test('results that differ from those that are stored stand on a branch', async () => {
    const client = another(await gatewayFixture());
    client.gateway.engine.toolCalls = [[call('1', 'weather', {})]];
    await client.ask(user('Do it'));
    await client.ask(result('1', 'Rain'));
    client.messages.splice(2);
    await client.ask(result('1', 'Sun'));
    const sessions = await client.gateway.sessions();
    expect(sessions).toHaveLength(1);
    expect(Object.keys(sessions[0]!.session.branches)).toHaveLength(2);
    expect(await textOf(client.gateway)).toEqual(['Do it', '', 'Sun', 'fine']);
  });

  test.each([
    ['as it came', 'One two '],
    ['shorter than it came', 'One '],
  ])('a conversation goes on behind an answer that broke off, %s', async (_, part) => {
    const client = another(await gatewayFixture());
    const { engine } = client.gateway;
    await client.ask(user('u1'));
    engine.answer = 'One two three.';
    engine.breaksAfter = {
      words: 2,
      by: async () => {
        throw new CwmError('EngineFailed', 'Out of memory.');
      },
    };
    client.messages.push(user('u2'));
    expect((await client.post({ messages: client.messages })).ok).toBe(false);
    engine.breaksAfter = null;
    engine.answer = 'fine';
    await client.ask(said(part), user('u3'));
    expect(await client.gateway.sessions()).toHaveLength(1);
    expect((await textOf(client.gateway)).map((text) => text.trim())).toEqual([
      'u1',
      'fine',
      'u2',
      part.trim(),
      'u3',
      'fine',
    ]);
  });

  test('a message that changes in the middle makes a branch, with what the client keeps behind it', async () => {
    const client = another(await gatewayFixture());
    for (const text of ['u1', 'u2', 'u3']) await client.ask(user(text));
    client.messages[2] = user('u2, changed');
    await client.ask(user('u4'));
    const sessions = await client.gateway.sessions();
    expect(sessions).toHaveLength(1);
    expect(Object.keys(sessions[0]!.session.branches)).toHaveLength(2);
    expect(await textOf(client.gateway)).toEqual(['u1', 'fine', 'u2, changed', 'fine', 'u3', 'fine', 'u4', 'fine']);
  });

  test('a first message that fails again and again has one session', async () => {
    const client = another(await gatewayFixture());
    const { engine } = client.gateway;
    engine.onCall = async () => {
      throw new CwmError('EngineFailed', 'Out of memory.');
    };
    client.messages.push(user('one'));
    for (let time = 0; time < 3; time++) expect((await client.post({ messages: client.messages })).ok).toBe(false);
    expect(await client.gateway.sessions()).toHaveLength(1);
    engine.onCall = async () => {};
    await client.again();
    expect(await textOf(client.gateway)).toEqual(['one', 'fine']);
    await another(client.gateway).ask(user('one'));
    expect(await client.gateway.sessions()).toHaveLength(2);
  });

  test('a first message without a model server makes no session', async () => {
    const client = another(await gatewayFixture());
    client.gateway.engine.fault = 'EngineUnavailable';
    expect((await client.post({ messages: [user('one')] })).status).toBe(502);
    expect(await client.gateway.sessions()).toEqual([]);
  });

  test('a client that goes on without the result of its call has no branch, and no prompt has a call without a result', async () => {
    const client = another(await gatewayFixture());
    client.gateway.engine.toolCalls = [[call('1', 'weather', {})]];
    await client.ask(user('Do it'));
    await client.ask(user('never mind'));
    const sessions = await client.gateway.sessions();
    expect(sessions).toHaveLength(1);
    expect(Object.keys(sessions[0]!.session.branches)).toHaveLength(1);
    expect(sessions[0]!.said.map(({ type }) => type)).toEqual(['text', 'tool-calls', 'tool-result', 'text', 'text']);
    await client.gateway.restart();
    await client.ask(user('And now?'));
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test('after a restart, several messages of the user in a row are found as they were said', async () => {
    const client = another(await gatewayFixture());
    await client.ask(user('one'));
    await client.ask(user('two'), user('three'));
    expect(await textOf(client.gateway)).toEqual(['one', 'fine', 'two', 'three', 'fine']);
    await client.gateway.restart();
    await client.ask(user('four'));
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test.each([
    ['leaves out', []],
    ['says as a blank', [said(' ')]],
  ])('a client that %s the empty answers goes on behind them, also after a restart', async (_, empty) => {
    const client = another(await gatewayFixture());
    client.gateway.engine.answer = '';
    for (const text of ['one', 'two', 'three']) {
      await client.ask(user(text));
      client.messages.splice(-1, 1, ...empty);
      await client.gateway.restart();
    }
    client.gateway.engine.answer = 'fine';
    await client.ask(user('four'));
    const sessions = await client.gateway.sessions();
    expect(sessions).toHaveLength(1);
    expect(Object.keys(sessions[0]!.session.branches)).toHaveLength(1);
    expect(await textOf(client.gateway)).toEqual(['one', '', 'two', '', 'three', '', 'four', 'fine']);
    // The same first words begin another conversation.
    client.gateway.engine.answer = '';
    await another(client.gateway).ask(user('five'));
    await another(client.gateway).ask(user('five'));
    expect(await client.gateway.sessions()).toHaveLength(3);
  });

  test('after a restart, a branch that is not the active one goes on in its session', async () => {
    const client = another(await gatewayFixture());
    for (const text of ['u1', 'u2', 'u3']) await client.ask(user(text));
    const whole = [...client.messages];
    client.messages.splice(2);
    await client.ask(user('Another u2'));
    await client.gateway.restart();
    client.messages.splice(0, Infinity, ...whole);
    await client.ask(user('u4'));
    expect(await client.gateway.sessions()).toHaveLength(1);
  });

  test('a conversation whose session is frozen goes on in it; one that has expired, in another', async () => {
    const client = another(await gatewayFixture());
    await client.ask(user('one'));
    const [{ session } = { session: null }] = await client.gateway.sessions();
    await client.gateway.cwm.freeze({ session: session!.id, window: 'kept' });
    await client.ask(user('two'));
    expect(await client.gateway.sessions()).toHaveLength(1);
    const { clock } = client.gateway;
    const soon = new Date(clock.now().getTime() + 5000).toISOString();
    await client.gateway.cwm.setExpiry({ session: session!.id, expiresAt: soon });
    while (clock.now().toISOString() <= soon);
    await client.ask(user('three'));
    expect(await client.gateway.sessions()).toHaveLength(2);
    await client.ask(user('four'));
    expect(await client.gateway.sessions()).toHaveLength(2);
  });

  test('a conversation with another model goes on, in another session', async () => {
    const client = another(await gatewayFixture());
    await client.ask(user('one'));
    client.gateway.engine.model = { ...client.gateway.engine.model, id: 'another-model' };
    await client.ask(user('two'));
    await client.ask(user('three'));
    expect(await client.gateway.sessions()).toHaveLength(2);
    expect(await textOf(client.gateway)).toEqual(['one', 'fine', 'two', 'fine', 'three', 'fine']);
  });

  test('a store that cannot be read for a moment costs the recognition of that moment', async () => {
    const client = another(await gatewayFixture());
    await client.ask(user('one'));
    await client.gateway.restart();
    const list = vi.spyOn(client.gateway.store.sessions, 'list');
    list.mockRejectedValue(new CwmError('ReadFailed', 'Too many open files.'));
    await client.ask(user('two'));
    expect(client.gateway.failures).toHaveLength(2);
    list.mockRestore();
    await client.ask(user('three'));
    expect(await client.gateway.sessions()).toHaveLength(2);
  });

  test.each(['page_fault', 'search_pages', 'ask_user'])(
    'a call of %s that nobody offered leaves no client waiting',
    async (name) => {
      const client = another(await gatewayFixture());
      client.gateway.engine.toolCalls = [[call('1', name, { question: 'Which?' })]];
      const tools =
        name === 'ask_user' ? [] : [{ type: 'function', function: { name, parameters: { type: 'object' } } }];
      const answer = await client.post({ messages: [user('Do it')], tools });
      expect(await answer.json()).toMatchObject({ choices: [{ finish_reason: 'stop', message: { content: 'fine' } }] });
      expect(client.gateway.engine.offered.flat()).not.toContain(name);
    },
  );
});
