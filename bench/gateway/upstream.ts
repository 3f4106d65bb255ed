// A worker: a model server that answers at once, or at a pace; or, where it is given the port of one, a plain proxy in front of it.
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

interface Asked {
  readonly stream?: boolean;
  /** Tokens of a paced answer. Default: one, at once. */
  readonly max_tokens?: number;
  /** Between two of them, in milliseconds. */
  readonly pace_ms?: number;
}

let aborted = 0;

const chunk = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'stub', choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;

function answer(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on('data', (data: Buffer) => chunks.push(data));
  req.on('end', () => {
    if (req.url === '/aborted') return void res.end(String(aborted));
    if (req.url === '/v1/models') {
      res.writeHead(200, { 'content-type': 'application/json' });
      return void res.end(JSON.stringify({ object: 'list', data: [{ id: 'stub', object: 'model' }] }));
    }
    if (req.url !== '/v1/chat/completions') return void res.writeHead(404).end('{}');
    const { max_tokens: tokens = 1, pace_ms: paceMs = 0 } = JSON.parse(Buffer.concat(chunks).toString()) as Asked;
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.once('close', () => {
      if (!res.writableFinished) aborted++;
    });
    let sent = 0;
    const next = (): void => {
      if (res.destroyed) return;
      res.write(chunk({ content: `t${sent} ` }));
      if (++sent < tokens) return void setTimeout(next, paceMs);
      const usage = { prompt_tokens: 100, completion_tokens: sent, prompt_tokens_details: { cached_tokens: 90 } };
      res.write(chunk({}, { choices: [], usage }));
      res.end('data: [DONE]\n\n');
    };
    next();
  });
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** What every proxy does, and nothing else. */
const proxy = (port: number) => (req: IncomingMessage, res: ServerResponse) => {
  const { method, url: path, headers } = req;
  const sent = request({ agent, port, host: '127.0.0.1', method, path, headers }, (reply) => {
    res.writeHead(reply.statusCode ?? 500, reply.headers);
    reply.pipe(res);
  });
  res.once('close', () => sent.destroy());
  req.pipe(sent);
};

const listen = (handler: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer(handler);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

const upstream = workerData as number | null;
parentPort?.postMessage(await listen(upstream === null ? answer : proxy(upstream)));
