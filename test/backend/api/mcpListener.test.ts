import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { agentTools } from '../../../src/agent/agentTools.ts';
import { serveHttp } from '../../../src/backend/api/serveHttp.ts';
import { Emitter } from '../../../src/base/emitter.ts';
import { SignalBus } from '../../../src/backend/api/signalBus.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
type Parts = Parameters<typeof serveHttp>[1];

/** The TCP listener of a backend that answers every call with an error, and notes whose it was. */
async function listening(bodyMs?: number) {
  const called: { readonly route: string; readonly client: string }[] = [];
  const ended = new Emitter<string>();
  const nothing = { dispose: () => undefined };
  const parts = {
    idle: { enter: () => nothing },
    folders: { listen: () => nothing },
    bus: new SignalBus(1),
    onRefused: () => undefined,
    operationsEnded: new AbortController().signal,
    dispatch: async ({ route, client }: { route: string; client: string }, signal: AbortSignal) => {
      called.push({ route, client });
      if (route === 'freeze')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      throw new CwmError('WindowNotFound', 'There is no window "w".');
    },
  } as unknown as Parts;
  const tokenFile = path.join(makeDirectory(), 'token');
  const wish = { address: '127.0.0.1:0', remote: false, tokenFile, times: bodyMs === undefined ? {} : { bodyMs } };
  const listener = await serveHttp(wish, parts, {
    clientsAddress: null,
    listensAt: () => undefined,
    clientOf: (token) => (token === 'token-of-work' ? 'work' : token === 'token-of-play' ? 'play' : null),
    toolsOf: (client) => (client === 'play' ? 'read' : 'all'),
    onClientEnded: (listener) => ended.subscribe(listener),
    handle: async () => undefined,
  });
  onTestFinished(() => listener.close(0));
  const token = readFileSync(tokenFile, 'utf8').trim();
  const post = async (headers: Record<string, string>, body: object, at = '/mcp'): Promise<Response> =>
    await fetch(`${listener.url}${at}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
  return { url: listener.url, token, called, post, end: (client: string) => ended.emit(client) };
}

const initialize = {
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

test('a client of MCP needs a token of the gateway, and a page in a browser is refused whatever it has', async () => {
  const { post, token } = await listening();
  const refused = await post({}, initialize);
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  expect(await refused.json()).toMatchObject({ jsonrpc: '2.0', error: { data: { code: 'CWM-8005' } }, id: null });
  const authorization = `Bearer ${token}`;
  expect((await post({ authorization, origin: 'https://example.com' }, initialize)).status).toBe(403);
  for (const headers of [{ authorization }, { authorization: 'Bearer token-of-work' }])
    expect((await post(headers, initialize)).status).toBe(200);
  expect((await post({}, initialize, `/t/${token}/mcp`)).status).toBe(200);
});

test('what it calls goes the way of all calls over TCP, under a name of its own', async () => {
  const { post, token, called } = await listening();
  const authorization = `Bearer ${token}`;
  const begun = await post({ authorization }, initialize);
  const session = begun.headers.get('mcp-session-id') ?? '';
  const params = { name: 'window_thaw', arguments: { window_name: 'w' } };
  const answer = await post({ authorization, 'mcp-session-id': session }, { id: 2, method: 'tools/call', params });
  expect(await answer.text()).toContain('CWM-2002');
  expect(called).toEqual([{ route: 'thaw', client: expect.stringMatching(/^http\.mcp-test-/) }]);
});

const streamOf = async (post: Awaited<ReturnType<typeof listening>>['post'], token: string) => {
  const authorization = `Bearer ${token}`;
  const session = (await post({ authorization }, initialize)).headers.get('mcp-session-id') ?? '';
  return { authorization, 'mcp-session-id': session };
};

test('when a token is revoked, the streams that its client has open end, what it called is aborted, and those of others stay', async () => {
  const { url, post, called, end } = await listening();
  const work = await streamOf(post, 'token-of-work');
  const play = await streamOf(post, 'token-of-play');
  const listen = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${url}/mcp`, { headers: { ...headers, accept: 'text/event-stream' } });
  const [heardByWork, heardByPlay] = await Promise.all([listen(work), listen(play)]);
  const params = { name: 'window_freeze', arguments: { session_id: 's', window_name: 'w' } };
  const freezing = post(work, { id: 2, method: 'tools/call', params }).then((answer) => answer.text());
  await expect.poll(() => called).toHaveLength(1);
  end('work');
  await expect(freezing).rejects.toThrow();
  await expect(heardByWork.text()).rejects.toThrow();
  await expect.poll(async () => (await post(work, { id: 3, method: 'tools/list' })).status).toBe(404);
  expect((await post(play, { id: 3, method: 'tools/list' })).status).toBe(200);
  await heardByPlay.body?.cancel();
});

test('a client that may only read is offered no tool that changes something, and none that it calls reaches the backend', async () => {
  const { post, called } = await listening();
  const headers = await streamOf(post, 'token-of-play');
  const listed = await (await post(headers, { id: 2, method: 'tools/list' })).text();
  for (const [name, tool] of Object.entries(agentTools)) {
    const reads = tool.effect === 'reads' || ('readsWithoutFields' in tool && tool.readsWithoutFields === true);
    expect(listed.includes(`"name":"${name}"`)).toBe(reads);
    if (reads) continue;
    const answer = await post(headers, { id: 3, method: 'tools/call', params: { name, arguments: {} } });
    expect(await answer.text()).toContain(`Tool ${name} disabled`);
  }
  const prompts = await (await post(headers, { id: 4, method: 'prompts/list' })).text();
  expect([...prompts.matchAll(/"name":"(\w+)","title"/g)].map(([, name]) => name)).toEqual(['status', 'why']);
  expect(called).toEqual([]);
});

test('a body that does not come is refused, and nothing of the protocol waits for it', async () => {
  const { url, token } = await listening(20);
  const status = await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': '100' };
    const sent = request(`${url}/mcp`, { method: 'POST', headers }, (answer) => resolve(answer.statusCode));
    sent.on('error', reject);
    sent.write('{');
  });
  expect(status).toBe(408);
});
