// A worker: a model server that answers at once, or at a pace; or a plain proxy in front of one.
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

type Kind = 'openai' | 'vllm' | 'llama-server';

/** What a worker is to be. */
export type Upstream =
  /** A server of which nothing is known; one that says that it is vLLM, and tells token ids to who asks for them; a llama-server with one slot. */
  | { readonly kind: Kind }
  /** The port of the server behind it. */
  | { readonly kind: 'proxy'; readonly behind: number };

interface Asked {
  readonly stream?: boolean;
  /** Tokens of a paced answer. Default: one, at once. */
  readonly max_tokens?: number;
  /** Between two of them, in milliseconds. */
  readonly pace_ms?: number;
  readonly return_token_ids?: boolean;
}

let aborted = 0;
let chats = 0;

const chunk = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'stub', choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;

/** About as many ids as a model has of a text. */
const idsOf = (text: string): readonly number[] =>
  Array.from({ length: Math.ceil(text.length / 4) }, (_, at) => text.charCodeAt(4 * at) * 100);

/** What tells a server's kind, and what the gateway asks a llama-server behind an answer; null for any other route. Its slots are not saved. */
function identity(kind: Kind, url: string, text: string): object | null {
  if (url === '/v1/models') {
    const owner = {
      openai: {},
      vllm: { owned_by: 'vllm', max_model_len: 32_768 },
      'llama-server': { owned_by: 'llamacpp' },
    };
    return { object: 'list', data: [{ id: 'stub', object: 'model', ...owner[kind] }] };
  }
  if (url === '/version' && kind === 'vllm') return { version: '0.33.0' };
  if (kind !== 'llama-server') return null;
  switch (url) {
    case '/props':
      return { total_slots: 1, default_generation_settings: { n_ctx: 32_768 }, model_path: '/stub.gguf' };
    case '/apply-template':
      return { prompt: text };
    case '/tokenize':
      return { tokens: idsOf((JSON.parse(text) as { content: string }).content) };
    case '/lora-adapters':
      return [];
    case '/slots':
      return [{ id: 0, is_processing: false, id_task: chats - 1 }];
    default:
      return null;
  }
}

const answer =
  (kind: Kind) =>
  (req: IncomingMessage, res: ServerResponse): void => {
    const chunks: Buffer[] = [];
    req.on('data', (data: Buffer) => chunks.push(data));
    req.on('end', () => {
      const json = (body: object): void => {
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end(JSON.stringify(body));
      };
      if (req.url === '/aborted') return void res.end(String(aborted));
      const text = Buffer.concat(chunks).toString();
      const known = identity(kind, req.url ?? '', text);
      if (known) return json(known);
      if (req.url !== '/v1/chat/completions') return void res.writeHead(404).end('{}');
      chats++;
      const {
        max_tokens: tokens = 1,
        pace_ms: paceMs = 0,
        return_token_ids: tellsIds = false,
      } = JSON.parse(text) as Asked;
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.once('close', () => {
        if (!res.writableFinished) aborted++;
      });
      let sent = 0;
      if (tellsIds) res.write(chunk({ role: 'assistant', content: '' }, { prompt_token_ids: idsOf(text) }));
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
  };

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

const upstream = workerData as Upstream;
parentPort?.postMessage(await listen(upstream.kind === 'proxy' ? proxy(upstream.behind) : answer(upstream.kind)));
