import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { readChatStream } from '../../src/vscode/chat/chatStream.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { chunk, usageChunk } from './gatewayFixture.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';

const start = wholeBackends();

/** A vLLM that answers chats, too, of those who have its key. */
async function chattingServer(): Promise<string> {
  const fake = await FakeVllm.start();
  let number = 0;
  const server = createServer((req, res) => {
    if (req.url === '/v1/chat/completions') {
      req.resume();
      if (req.headers.authorization !== 'Bearer KEY') return void res.writeHead(401, {}).end();
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.end(`${chunk({ content: `Answer ${++number}.` })}${usageChunk(20, 16)}data: [DONE]\n\n`);
      return;
    }
    void passOn();
    async function passOn(): Promise<void> {
      const answer = await fetch(`${fake.url}${req.url}`, { method: req.method ?? 'GET' });
      res.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      res.end(Buffer.from(await answer.arrayBuffer()));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await fake.stop();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a conversation that a client of ours sends over the socket is one session, recognised as another program's is, and has the model server's key", async () => {
  const engine = await chattingServer();
  // That of new sessions is another one, which answers no chat.
  const { client } = await start({ engineKey: 'KEY' });
  const folder = parseProjectUri('project://orchard');
  const ask = async (messages: object[]): Promise<string> => {
    const body = JSON.stringify({ model: 'tiny', messages, stream: true, stream_options: { include_usage: true } });
    const how = { name: 'vscode-chat', engine, folder, signal: new AbortController().signal };
    const answer = await client.gateway('/v1/chat/completions', body, how);
    let text = '';
    const listener = { text: (piece: string) => (text += piece), call: () => undefined, usage: () => undefined };
    await readChatStream(answer, listener, false);
    expect([answer.statusCode, text === '']).toEqual([200, false]);
    return text;
  };
  const first = { role: 'user', content: 'Say hi.' };
  const said = await ask([first]);
  await ask([first, { role: 'assistant', content: said }, { role: 'user', content: 'And again.' }]);
  await expect
    .poll(async () => (await client.call('listSessions', {})).items.map(({ title }) => title))
    .toEqual(['Say hi.']);
  expect((await client.call('listSessions', {})).items[0]).toMatchObject({ engine, project: folder });
  const { items } = await client.call('gatewayClients', {});
  expect(items).toMatchObject([{ name: 'vscode-chat', requests: 2, turns: 2, sessions: 1 }]);
});

test('a conversation with memory is with the model server that the request names', async () => {
  const named = await FakeVllm.start();
  onTestFinished(() => named.stop());
  named.faults.model = 'only-there';
  const { client } = await start();
  const body = JSON.stringify({ model: 'only-there+memory', messages: [{ role: 'user', content: 'Say hi.' }] });
  const how = { name: 'vscode-chat', engine: named.url, folder: null, signal: new AbortController().signal };
  const answer = await client.gateway('/v1/chat/completions', body, how);
  for await (const _ of answer) continue;
  expect((await client.call('listSessions', {})).items.map(({ engine }) => engine)).toEqual([named.url]);
});
