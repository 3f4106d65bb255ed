import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { BodyText } from '../../../src/engines/http/bodyText.ts';
import { serverReason } from '../../../src/engines/http/errorWords.ts';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { chat, failure, never } from './rig.ts';

const delta = (choice: object): string => `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
const hello = `${delta({ delta: { content: 'Hel' } })}${delta({ delta: { content: 'lo' } })}data: [DONE]\n\n`;
const list = JSON.stringify({ object: 'list', data: [{ id: 'm' }] });

async function serverWith(answer: RequestListener, options: { apiKey?: string; model?: string } = {}) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = new VllmEngine({
    spec: url,
    connect: async () => ({ url }),
    sleep: async () => undefined,
    ...options,
  });
  onTestFinished(async () => {
    await engine.close();
    server.closeAllConnections();
    server.close();
  });
  return { engine };
}

/** Only a list of models and chats; of everything else it knows nothing. */
const answering =
  (chats: { readonly status?: number; readonly type?: string; readonly body: string | Buffer }): RequestListener =>
  ({ url }, response) => {
    const isChat = url?.startsWith('/v1/chat') === true;
    const status = isChat ? (chats.status ?? 200) : url === '/v1/models' ? 200 : 404;
    response.writeHead(status, { 'content-type': isChat ? (chats.type ?? 'text/event-stream') : 'application/json' });
    response.end(isChat ? chats.body : list);
  };

test.each([
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
])('K2 %s, which nobody asked for: lists, streams and errors are read', async (coding, compress) => {
  let isRefused = false;
  const rig = await serverWith(({ url }, response) => {
    const isChat = url?.startsWith('/v1/chat') === true;
    const status = isChat && isRefused ? 400 : isChat || url === '/v1/models' ? 200 : 404;
    const body = isChat ? (isRefused ? '{"error": {"message": "no such team"}}' : hello) : list;
    response.writeHead(status, { 'content-type': 'text/event-stream', 'content-encoding': coding }).end(compress(body));
  });
  expect((await chat(rig)).text).toBe('Hello');
  expect((await chat(rig)).text, 'over the same connections').toBe('Hello');
  isRefused = true;
  expect((await failure(chat(rig))).message).toContain('no such team');
});

test('K3 bytes that are not compressed as they claim end the answer, not the client', async () => {
  const rig = await serverWith(({ url }, response) => {
    const isChat = url?.startsWith('/v1/chat') === true;
    response.writeHead(isChat || url === '/v1/models' ? 200 : 404, isChat ? { 'content-encoding': 'gzip' } : {});
    response.end(isChat ? hello : list);
  });
  expect((await failure(chat(rig))).name).toBe('StreamCut');
});

test('K3 compressed bytes that nobody declares are called that, and are not shown', async () => {
  const rig = await serverWith(answering({ body: gzipSync(hello.repeat(9)) }));
  expect((await failure(chat(rig))).message).toContain('bytes that are no text');
});

test('K10 a character set that the server declares counts where the bytes are no UTF-8, and nowhere else', async () => {
  const read = (bytes: Buffer, type: string, step: number): string => {
    const text = new BodyText(type);
    let read = '';
    for (let at = 0; at < bytes.length; at += step) read += text.feed(bytes.subarray(at, at + step));
    const inPieces = read + text.end();
    expect(new BodyText(type).whole(bytes)).toBe(inPieces);
    return inPieces;
  };
  expect(read(Buffer.from('\uFEFF{}'), 'application/json', 1)).toBe('{}');
  for (const step of [1, 2, 3, 100]) {
    const all = 'Bläue über 😀';
    expect(read(Buffer.from(all), 'text/event-stream; charset=ISO-8859-1', step)).toBe(all);
    expect(read(Buffer.from(all), 'text/plain; charset=klingon', step)).toBe(all);
    for (const some of ['Bläue über', 'ä, ö', 'Straße ä'])
      expect(read(Buffer.from(some, 'latin1'), 'application/json;charset="iso-8859-1"', step)).toBe(some);
  }
  const body = Buffer.from(
    JSON.stringify({ choices: [{ message: { content: 'Bläue' }, finish_reason: 'stop' }] }),
    'latin1',
  );
  const rig = await serverWith(answering({ body, type: 'application/json; charset=latin1' }));
  expect((await chat(rig)).text).toBe('Bläue');
});

test.each([
  ['<?xml version="1.0"?><Error><Code>X</Code><Message>upstream pod evicted</Message></Error>', 'upstream pod evicted'],
  ['<soap:Fault><faultstring>no quota</faultstring></soap:Fault>', 'no quota'],
  ['<html><head><title>Sign in</title></head><body><h1>Hello</h1></body></html>', 'Sign in'],
  ['<html><body><p>nothing</p></body></html>', ''],
])('K3 of %s, the reason is "%s"', (text, reason) => {
  expect(serverReason(text)).toBe(reason);
});

test.each([
  [204, ''],
  [200, ''],
  [200, 'data: null\n\n'],
])('K3 an answer with status %i and the body "%s" says nothing, and the message says that', async (status, body) => {
  const rig = await serverWith(answering({ status, body }));
  expect((await failure(chat(rig))).message).toContain('ended its answer before it said anything');
});

test('K3 a text where a piece of the answer should be is what the server says', async () => {
  const rig = await serverWith(answering({ body: 'data: "card 3 fell off"\n\n' }));
  expect((await failure(chat(rig))).message).toContain('is no answer: "card 3 fell off"');
});

test('K4 a server that lists no models serves the one that is named; without a name, the hint asks for one', async () => {
  const noList: RequestListener = ({ url }, response) => {
    if (url?.startsWith('/v1/chat')) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(hello);
    else response.writeHead(404).end('{"error": "not found"}');
  };
  const named = await serverWith(noList, { model: 'm' });
  expect((await chat(named)).text).toBe('Hello');
  expect((await named.engine.describe(never)).model.id).toBe('m');
  const { name, hint } = await failure(chat(await serverWith(noList)));
  expect(name).toBe('NotAnEngine');
  expect(hint).toContain('#model=NAME');
});
