import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { serveHttp } from '../../../src/backend/api/serveHttp.ts';
import { SignalBus } from '../../../src/backend/api/signalBus.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
type Parts = Parameters<typeof serveHttp>[1];

/** The TCP listener of a backend that answers every call with an error, and notes whose it was. */
async function listening(bodyMs?: number) {
  const called: { readonly route: string; readonly client: string }[] = [];
  const nothing = { dispose: () => undefined };
  const parts = {
    idle: { enter: () => nothing },
    folders: { listen: () => nothing },
    bus: new SignalBus(1),
    onRefused: () => undefined,
    operationsEnded: new AbortController().signal,
    dispatch: async ({ route, client }: { route: string; client: string }) => {
      called.push({ route, client });
      throw new CwmError('WindowNotFound', 'There is no window "w".');
    },
  } as unknown as Parts;
  const tokenFile = path.join(makeDirectory(), 'token');
  const wish = { address: '127.0.0.1:0', remote: false, tokenFile, times: bodyMs === undefined ? {} : { bodyMs } };
  const listener = await serveHttp(wish, parts, {
    clientsAddress: null,
    listensAt: () => undefined,
    clientOf: (token) => (token === 'token-of-work' ? 'work' : null),
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
  return { url: listener.url, token, called, post };
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
