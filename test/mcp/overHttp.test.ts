import { expect, onTestFinished, test } from 'vitest';
import { McpOverHttp } from '../../src/mcp/overHttp.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { ToolRight } from '../../src/protocol/routes/gateway.ts';
import type { Signal } from '../../src/protocol/signals.ts';

type Inner = ConstructorParameters<typeof McpOverHttp>[0];

/** A server whose backend knows no window, and remembers who asked for what. */
function overHttp() {
  const asked: { readonly client: string; readonly rateOwner: string; readonly route: string }[] = [];
  const listeners = new Set<(signal: Signal) => void>();
  const inner: Inner = {
    call: async ({ name: client, rateOwner }, route) => {
      asked.push({ client, rateOwner, route });
      if (route === 'getWindow') return { result: { summary: { name: 'w', tokens: 5, kvBytes: null } } };
      if (route === 'deleteWindow') return { result: {} };
      return { error: new CwmError('WindowNotFound', `There is no window for ${route}.`).report() };
    },
    onSignal: (_, listener) => {
      listeners.add(listener);
      return { dispose: () => listeners.delete(listener) };
    },
  };
  const server = new McpOverHttp(inner);
  onTestFinished(() => server.close());
  return { server, asked, listeners };
}

interface Asking {
  readonly owner?: string | null;
  readonly tools?: ToolRight;
  readonly session?: string | undefined;
  readonly body: object;
  readonly headers?: Record<string, string>;
}

async function ask(
  server: McpOverHttp,
  { owner = null, tools = 'all', session, body, headers = {} }: Asking,
): Promise<Response> {
  const request = new Request('http://127.0.0.1:8765/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(session !== undefined && { 'mcp-session-id': session }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
  });
  return await server.fetch(request, owner, tools);
}

/** The next message of a stream of events. */
async function* messagesOf(answer: Response): AsyncGenerator<Record<string, unknown>> {
  let text = '';
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const data = /^data: (.+)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data) as Record<string, unknown>;
    }
  }
}

async function handshake(server: McpOverHttp, owner: string | null = null, capabilities: object = {}) {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'Any Client', version: '1' } };
  const answer = await ask(server, { owner, body: { id: 1, method: 'initialize', params } });
  await answer.text();
  return answer.headers.get('mcp-session-id') ?? '';
}

const callOf = (id: number, name: string, args: object) => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});
const thaw = callOf(2, 'window_thaw', { window_name: 'w' });

const modern = (body: { readonly method: string; readonly params: object }, name: string) => ({
  body: {
    id: 7,
    ...body,
    params: {
      ...body.params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name, version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  },
  headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': body.method, 'mcp-name': 'window_thaw' },
});

test('each connection with a handshake is a client of its own, and a failure keeps our code', async () => {
  const { server, asked } = overHttp();
  for (const session of [await handshake(server), await handshake(server)]) {
    const answer = await ask(server, { session, body: thaw });
    expect(await answer.text()).toContain('CWM-2002');
  }
  const clients = asked.map(({ client }) => client);
  expect(new Set(clients).size).toBe(2);
  for (const client of clients) expect(client).toMatch(/^http\.mcp-Any-Client-[0-9a-f]{8}$/);
});

test('all clients with one token share its limits, however often they begin and whatever they call themselves', async () => {
  const { server, asked } = overHttp();
  const ownersOf = async (owner: string): Promise<Set<string>> => {
    asked.length = 0;
    for (const session of [await handshake(server, owner), await handshake(server, owner)])
      await (await ask(server, { owner, session, body: thaw })).text();
    for (const name of ['One', 'Two']) await (await ask(server, { owner, ...modern(thaw, name) })).text();
    expect(new Set(asked.map(({ client }) => client)).size).toBe(4);
    return new Set(asked.map(({ rateOwner }) => rateOwner));
  };
  const [work, home] = [await ownersOf('work'), await ownersOf('home')];
  expect([work.size, home.size, new Set([...work, ...home]).size]).toEqual([1, 1, 2]);
});

test('without a handshake, clients are told apart by their token and the name that they give themselves', async () => {
  const { server, asked } = overHttp();
  const from = async (owner: string | null, name: string) => {
    const answer = await ask(server, { owner, ...modern(thaw, name) });
    expect(await answer.text()).toContain('CWM-2002');
    return asked.at(-1)?.client;
  };
  const one = await from('work', 'one');
  expect(one).toMatch(/^http\.mcp-one-[0-9a-f]{8}$/);
  expect(await from('work', 'one')).toBe(one);
  const others = [await from('work', 'two'), await from('play', 'one'), await from(null, 'one')];
  expect(new Set([one, ...others]).size).toBe(4);
});

test("the id of another token's connection, or of none, finds nothing", async () => {
  const { server } = overHttp();
  const session = await handshake(server, 'work');
  expect((await ask(server, { owner: 'work', session, body: thaw })).status).toBe(200);
  expect((await ask(server, { owner: 'play', session, body: thaw })).status).toBe(404);
  expect((await ask(server, { session, body: thaw })).status).toBe(404);
  expect((await ask(server, { session: 'none', body: thaw })).status).toBe(404);
});

test('a request before any handshake, and one that is no JSON, are refused and leave nothing open', async () => {
  const { server, listeners } = overHttp();
  const before = listeners.size;
  expect((await ask(server, { body: thaw })).status).toBe(400);
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const broken = new Request('http://127.0.0.1/mcp', { method: 'POST', headers, body: '{"jsonrpc"' });
  expect((await server.fetch(broken, null, 'all')).status).toBe(400);
  expect(listeners.size).toBe(before);
});

test('a delete asks the person at the client over the stream of the call, and waits for the answer', async () => {
  const { server, asked } = overHttp();
  const session = await handshake(server, null, { elicitation: { form: {} } });
  const answer = await ask(server, { session, body: callOf(2, 'window_delete', { window_name: 'w' }) });
  const messages = messagesOf(answer);
  const question = (await messages.next()).value as { id: string; method: string; params: { message: string } };
  expect(question).toMatchObject({ method: 'elicitation/create', params: { message: /^Delete the window "w"/ } });
  expect(asked.map(({ route }) => route)).toEqual(['getWindow']);
  const result = { action: 'accept', content: { delete: true } };
  expect((await ask(server, { session, body: { id: question.id, result } })).status).toBe(202);
  await messages.next();
  expect(asked.map(({ route }) => route)).toContain('deleteWindow');
});

test('a connection that was begun with the right to all tools does not go on once its client may only read', async () => {
  const { server, asked } = overHttp();
  const session = await handshake(server, 'work');
  expect((await ask(server, { owner: 'work', tools: 'read', session, body: thaw })).status).toBe(404);
  expect((await ask(server, { owner: 'work', session, body: thaw })).status).toBe(200);
  expect(asked).toHaveLength(1);
  await server.endOwner('play');
  expect((await ask(server, { owner: 'work', session, body: thaw })).status).toBe(200);
  await server.endOwner('work');
  expect((await ask(server, { owner: 'work', session, body: thaw })).status).toBe(404);
});

test('without a handshake, the right counts with each request', async () => {
  const { server, asked } = overHttp();
  const refused = await ask(server, { owner: 'work', tools: 'read', ...modern(thaw, 'one') });
  expect(await refused.text()).toContain('Tool window_thaw disabled');
  expect(asked).toEqual([]);
  await (await ask(server, { owner: 'work', tools: 'all', ...modern(thaw, 'one') })).text();
  expect(asked).toMatchObject([{ route: 'thaw' }]);
});

test('more than 64 connections end the one that was unused for the longest time', async () => {
  const { server, listeners } = overHttp();
  const first = await handshake(server);
  const second = await handshake(server);
  expect((await ask(server, { session: first, body: thaw })).status).toBe(200);
  for (let count = 0; count < 63; count++) await handshake(server);
  expect((await ask(server, { session: second, body: thaw })).status).toBe(404);
  expect((await ask(server, { session: first, body: thaw })).status).toBe(200);
  // One more listens for the clients without a handshake.
  expect(listeners.size).toBe(65);
});

test('a connection that its client ends is gone', async () => {
  const { server, listeners } = overHttp();
  const before = listeners.size;
  const session = await handshake(server);
  const ended = new Request('http://127.0.0.1/mcp', { method: 'DELETE', headers: { 'mcp-session-id': session } });
  expect((await server.fetch(ended, null, 'all')).status).toBe(200);
  expect((await ask(server, { session, body: thaw })).status).toBe(404);
  expect(listeners.size).toBe(before);
});
