import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { chunk, gatewayFixture } from './gatewayFixture.ts';

const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });
const hi = [{ role: 'system', content: "You code.\nToday's date: Sat Nov 28\nBe brief." }, user('Say hi')];
const again = [...hi, assistant('Answer 1.'), user('And again')];

describe('clients of the gateway', () => {
  test('a token is stored as its hash, and its requests count as those of its client', async () => {
    const gateway = await gatewayFixture();
    const { token } = await gateway.putClient('opencode');
    const file = path.join(gateway.directory, 'gateway', 'clients.json');
    expect(await readFile(file, 'utf8')).not.toContain(token);
    await gateway.chat(hi, { 'x-api-key': token ?? '' });
    expect(gateway.clients().items).toMatchObject([{ name: 'opencode', requests: 1, turns: 1, sessions: 1 }]);
    expect(await gateway.putClient('opencode', { rotate: false })).toMatchObject({ token: null });
    const { token: other } = await gateway.putClient('opencode');
    expect(other).not.toBe(token);
    await gateway.revoke('opencode');
    await expect(gateway.revoke('opencode')).rejects.toThrow('no client');
    await expect(gateway.putClient('../x')).rejects.toThrow('letters');
  });

  test('a token that is revoked or replaced ends the answers that run under it, and a change of another kind does not', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = (_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(chunk({ role: 'assistant', content: 'Once upon' }));
    };
    const body = { model: 'm', messages: hi, stream: true };
    const open = async (token: string | null) => {
      const answer = await gateway.post('/v1/chat/completions', body, { 'x-api-key': token ?? '' });
      const reader = answer.body!.getReader();
      await reader.read();
      return reader;
    };
    const { token } = await gateway.putClient('opencode');
    const other = await gateway.putClient('codex');
    const [reader, running] = [await open(token), await open(other.token)];
    await gateway.putClient('opencode', { rotate: false, tools: 'read' });
    const next = await gateway.putClient('opencode');
    await expect(reader.read()).rejects.toThrow();
    await gateway.passed[0]?.left;
    const again = await open(next.token);
    await gateway.revoke('opencode');
    await expect(again.read()).rejects.toThrow();
    await gateway.passed[2]?.left;
    expect((await gateway.sessions()).some(({ said }) => said.at(-1)?.cut === 'stopped')).toBe(true);
    await running.cancel();
    await gateway.passed[1]?.left;
  });

  test('conversations of a client that is not recorded pass, and are no sessions', async () => {
    const gateway = await gatewayFixture();
    const { token } = await gateway.putClient('quiet', { records: false });
    const { answer, text } = await gateway.chat(hi, { 'x-api-key': token ?? '' });
    expect(text).toContain('Answer 1.');
    expect(answer.headers.get('x-cwm-recorded')).toBe('no');
    expect(await gateway.sessions()).toEqual([]);
    expect(gateway.clients().items).toMatchObject([{ requests: 1, turns: 0, records: false }]);
  });

  test('a break of the prefix is named with its cause, in the stream and in the figures', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    const monday = [{ role: 'system', content: "You code.\nToday's date: Sun Nov 29\nBe brief." }, ...again.slice(1)];
    const { text } = await gateway.chat(monday);
    const what = 'the system prompt changed at "Today\'s date: Sun Nov 29"';
    expect(text).toContain(`: cwm reused 16 of 20 prompt tokens; ${what}`);
    await gateway.chat([...monday.slice(0, 3), user('Another way')]);
    const [figures] = gateway.clients().items;
    expect(figures).toMatchObject({ breaks: { system: 1, tools: 0, messages: 1 }, promptTokens: 60, cachedTokens: 48 });
    expect(figures?.lastBreak).toBe('message 3 changed (user: "Another way")');
  });

  test('a break says which tool is another one, and which question changed behind its answer', async () => {
    const gateway = await gatewayFixture();
    const tool = (name: string, description = ''): object => ({ type: 'function', function: { name, description } });
    const ask = async (tools: readonly object[], messages: readonly object[]): Promise<string | null> => {
      const body = { model: 'm', stream: true, messages, tools };
      const text = await (await gateway.post('/v1/chat/completions', body)).text();
      await gateway.settled();
      return /prompt tokens; ([^;\n]*)/.exec(text)?.[1] ?? null;
    };
    const [read, write] = [tool('read'), tool('write')];
    const talk = [user('Say hi')];
    const next = async (tools: readonly object[]): Promise<string | null> => {
      const said = await ask(tools, talk);
      talk.push(assistant(`Answer ${gateway.passed.length}.`), user(`Question ${gateway.passed.length}`));
      return said;
    };
    expect(await next([read, write])).toBeNull();
    expect(await next([read, write])).toBeNull();
    expect(await next([read, tool('write', 'Writes a file.')])).toBe('the tools changed at "write"');
    expect(await next([read, tool('list'), write])).toBe('the tools changed: "list" is new');
    expect(await next([read, write])).toBe('the tools changed: "list" is gone');
    expect(await next([write, read])).toBe('the tools changed: "write" has moved');
    expect(await next([write])).toBe('the tools changed: "read" is gone');
    expect(await next([write, read])).toBe('the tools changed: "read" is new');
    expect(await next([])).toBe('the tools changed: "write" is gone');
    talk[2] = user(`Question 1, without what the client put\nbefore it: ${'long '.repeat(20)}`);
    expect(await next([])).toBe('message 3 changed (user: "Question 1, without what the client put")');
    expect(await next([])).toBeNull();
  });

  test('a turn that only goes on, and an answer that is asked for again, break nothing', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    await gateway.chat(again);
    await gateway.chat(again);
    expect(gateway.clients().items[0]).toMatchObject({ breaks: { system: 0, tools: 0, messages: 0 } });
  });
});
