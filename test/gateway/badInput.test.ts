import { request, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { AppParts } from '../../src/backend/api/app.ts';
import { serveHttp } from '../../src/backend/api/serveHttp.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';
import { FaultyFiles } from '../store/faultyFiles.ts';
import { chunk, gatewayFixture, usageChunk } from './gatewayFixture.ts';

const makeDirectory = temporaryDirectories();
const hi = [{ role: 'user', content: 'Say hi' }];

afterEach(() => void vi.useRealTimers());

/** Begins a request whose body is sent piece by piece. */
function begun(url: string, headers: Record<string, string> = {}): ClientRequest {
  const sent = request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } });
  sent.on('error', () => undefined);
  onTestFinished(() => void sent.destroy());
  return sent;
}

async function answerTo(sent: ClientRequest): Promise<{ status: number | undefined; body: unknown }> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const data of answer.setEncoding('utf8')) text += data as string;
  return { status: answer.statusCode, body: JSON.parse(text) };
}

describe('a body that is none', () => {
  test.each([
    ['/v1/chat/completions', { error: { type: 'invalid_request_error', code: expect.anything() as unknown } }],
    ['/v1/messages', { type: 'error', error: { type: 'invalid_request_error' } }],
  ])('one without end is refused at its limit, in the form of %s', async (route, form) => {
    const gateway = await gatewayFixture();
    const sent = begun(gateway.url + route);
    const piece = Buffer.alloc(8 << 20, ' ');
    let isOver = false;
    const answer = answerTo(sent).finally(() => (isOver = true));
    const more = (): void => {
      if (!isOver && !sent.destroyed) sent.write(piece, more);
    };
    more();
    const { status, body } = await answer;
    expect(status).toBe(413);
    expect(body).toMatchObject(form);
    expect(JSON.stringify(body)).toContain('larger than 67108864 bytes');
    expect(gateway.passed).toEqual([]);
  });

  test('one that comes too slowly is refused in words, and asks nothing of the server', async () => {
    const gateway = await gatewayFixture();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const sent = begun(`${gateway.url}/v1/messages`);
    const answer = answerTo(sent);
    const armed = vi.getTimerCount();
    sent.write('{"messages":[');
    await expect.poll(() => vi.getTimerCount()).toBeGreaterThan(armed);
    vi.advanceTimersByTime(30_000);
    expect(await answer).toMatchObject({ status: 408, body: { type: 'error', error: { message: /too slowly/ } } });
    expect(gateway.passed).toEqual([]);
  });
});

describe('who may not come in', () => {
  test('another host and another origin are refused before the token counts, in the form of the client', async () => {
    const storage = makeDirectory();
    const asked: string[] = [];
    const parts = { idle: { enter: () => ({ dispose: () => undefined }) }, onRefused: () => undefined };
    const listener = await serveHttp(
      { address: '0', remote: false, tokenFile: path.join(storage, 'token') },
      parts as unknown as AppParts,
      {
        clientsAddress: null,
        listensAt: () => undefined,
        toolsOf: () => 'all',
        onClientEnded: () => ({ dispose: () => undefined }),
        clientOf: () => 'work',
        handle: async (_req, res, address) => {
          asked.push(address.path);
          res.end('{}');
        },
      },
    );
    onTestFinished(() => listener.close(0));
    const ask = async (headers: Record<string, string>, route = '/v1/messages') => {
      const sent = begun(listener.url + route, { 'x-api-key': 'good', ...headers });
      sent.end('{}');
      return answerTo(sent);
    };
    const refused = { status: 403, body: { type: 'error', error: { type: 'permission_error' } } };
    expect(await ask({ host: 'rebound.example' })).toMatchObject(refused);
    expect(await ask({ origin: 'https://page.example' })).toMatchObject(refused);
    expect(await ask({ 'sec-fetch-site': 'cross-site' })).toMatchObject(refused);
    expect(await ask({ origin: 'null' }, '/v1/chat/completions')).toMatchObject({
      status: 403,
      body: { error: { type: 'permission_error', message: expect.stringContaining('page') as unknown } },
    });
    expect(asked).toEqual([]);
    expect((await ask({})).status).toBe(200);
  });
});

describe('a server that is none', () => {
  const stream =
    (...pieces: readonly string[]) =>
    (_: unknown, res: ServerResponse): void => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const piece of pieces) res.write(piece);
      res.end('data: [DONE]\n\n');
    };

  test('one that names another model in the middle passes as it is, and loses nothing', async () => {
    const gateway = await gatewayFixture();
    const other = chunk({ content: 'upon a time' }).replace('"model":"m"', '"model":"other"');
    gateway.server.answer = stream(chunk({ role: 'assistant', content: 'Once ' }), other);
    const { text } = await gateway.chat(hi);
    expect(text).toContain(other);
    expect((await gateway.sessions())[0]?.said[1]).toMatchObject({ text: 'Once upon a time' });
    expect(gateway.failures).toEqual([]);
  });

  test.each([
    ['more reused than there was', usageChunk(20, 900)],
    ['less than nothing', usageChunk(20, -4)],
    ['a word', usageChunk(20, 4).replace('"cached_tokens":4', '"cached_tokens":"all"')],
    ['what is no JSON', 'data: {"usage":\n\n'],
    ['a list', 'data: [{"usage":1}]\n\n'],
  ])('one that says %s proves nothing with it, and its answer is stored', async (_, lie) => {
    const gateway = await gatewayFixture();
    gateway.server.answer = stream(chunk({ role: 'assistant', content: 'Hi.' }), lie);
    const { text } = await gateway.chat(hi, { 'x-api-key': '' });
    expect(text).not.toContain('cwm reused');
    expect((await gateway.sessions())[0]?.said[1]).toMatchObject({ text: 'Hi.' });
    expect(gateway.clients().items).toMatchObject([{ promptTokens: 0, cachedTokens: 0 }]);
    expect(gateway.failures).toEqual([]);
  });

  test('a page in the place of a stream, and a stream that is cut, are said in the form of the client', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = stream('<html><body>Hello</body></html>\n\n');
    const page = await gateway.post('/v1/messages', { model: 'm', max_tokens: 9, messages: hi, stream: true });
    const said = await page.text();
    expect(said).toContain('event: error');
    expect(said).not.toContain('message_stop');
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.end(chunk({ role: 'assistant', content: 'Once' }));
    };
    const cut = await gateway.post('/v1/messages', { model: 'm', max_tokens: 9, messages: hi, stream: true });
    expect(await cut.text()).toContain('event: error');
  });
});

test('a disk that is full while a stream runs does not stop it, and the next answer stores what is missing', async () => {
  const faulty = new FaultyFiles(diskFiles);
  const gateway = await gatewayFixture(faulty.files);
  const usual = gateway.server.answer;
  const { promise: isFull, resolve: fill } = Promise.withResolvers<void>();
  gateway.server.answer = async (_, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ role: 'assistant', content: 'Once ' }));
    await isFull;
    res.write(chunk({ content: 'upon a time.' }));
    res.end('data: [DONE]\n\n');
  };
  const answer = await gateway.post('/v1/chat/completions', { model: 'm', messages: hi, stream: true });
  faulty.fillFrom(0);
  fill();
  expect(await answer.text()).toContain('upon a time.');
  expect(await gateway.sessions()).toEqual([]);
  gateway.server.answer = usual;
  const more = [...hi, { role: 'assistant', content: 'Once upon a time.' }, { role: 'user', content: 'And then?' }];
  const next = await gateway.post('/v1/chat/completions', { model: 'm', messages: more, stream: true });
  expect(next.headers.get('x-cwm-recorded')).toBe('no');
  expect(next.headers.get('x-cwm-why')).not.toBeNull();
  faulty.heal();
  await next.text();
  expect((await gateway.sessions()).map(({ said }) => said.length)).toEqual([4]);
});
