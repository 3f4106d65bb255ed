import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Asked {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly stream?: boolean;
}

/**
 * A server without a model, which answers at once: it shows what a client's requests become here, and nothing of a model. A message with
 * USETOOL gets a call of the first tool whose name `tool` matches.
 */
export async function stubServer(cleanUps: (() => Promise<unknown>)[], tool = /^(read|view|ls|list|shell|bash|exec)/i) {
  let number = 0;
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      if (req.url === '/v1/models') {
        res.writeHead(200, { 'content-type': 'application/json' });
        return void res.end(JSON.stringify({ object: 'list', data: [{ id: 'stub-model', object: 'model' }] }));
      }
      if (req.url !== '/v1/chat/completions') return void res.writeHead(404).end('{}');
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Asked;
      asked.push(body);
      const id = ++number;
      const last = body.messages.at(-1);
      const named = last?.role === 'user' && JSON.stringify(last.content).includes('USETOOL');
      const name = named ? body.tools?.find((each) => tool.test(each.function.name))?.function.name : undefined;
      const call = name && {
        id: `call_${id}`,
        type: 'function',
        function: { name, arguments: '{"command": ["echo", "hi"], "filepath": "a.txt"}' },
      };
      const finish = call ? 'tool_calls' : 'stop';
      const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };
      const text = call ? '' : `Answer number ${id}.`;
      if (body.stream !== true) {
        const message = { role: 'assistant', content: text, ...(call && { tool_calls: [call] }) };
        res.writeHead(200, { 'content-type': 'application/json' });
        return void res.end(
          JSON.stringify({
            id: 'c',
            object: 'chat.completion',
            created: 1,
            model: 'stub-model',
            choices: [{ index: 0, message, finish_reason: finish }],
            usage,
          }),
        );
      }
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (delta: object, reason: string | null): unknown =>
        res.write(
          `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'stub-model', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`,
        );
      send({ role: 'assistant', content: text, ...(call && { tool_calls: [{ index: 0, ...call }] }) }, null);
      send({}, finish);
      res.write(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'stub-model', choices: [], usage })}\n\n`,
      );
      res.end('data: [DONE]\n\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
