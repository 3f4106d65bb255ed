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
    expect(figures?.lastBreak).toBe('an earlier message changed');
  });

  test('a turn that only goes on, and an answer that is asked for again, break nothing', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat(hi);
    await gateway.chat(again);
    await gateway.chat(again);
    expect(gateway.clients().items[0]).toMatchObject({ breaks: { system: 0, tools: 0, messages: 0 } });
  });
});
