import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { gatewayAddress } from '../../src/gateway/address.ts';
import type { CoreParts } from '../../src/core/core.ts';
import type { Engine } from '../../src/core/ports/engine.ts';
import { Clients } from '../../src/gateway/clients/clients.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import type { Healing } from '../../src/gateway/passing/heal.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { coreFixture } from '../core/coreFixture.ts';

export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Resolves when the connection of its answer is closed before its end. */
  readonly left: Promise<void>;
}

type Answering = (request: Passed, res: ServerResponse) => void | Promise<void>;

/** One chunk of a streamed chat. */
export const chunk = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;

export const usageChunk = (prompt: number, cached: number): string =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [], usage: { prompt_tokens: prompt, completion_tokens: 2, prompt_tokens_details: { cached_tokens: cached } } })}\n\n`;

/** Answers each chat with its number, streamed or whole. */
const numbered = (): Answering => {
  let number = 0;
  return ({ body }, res) => {
    const text = `Answer ${++number}.`;
    if (body['stream'] !== true) {
      res.writeHead(200, { 'content-type': 'application/json' });
      const message = { role: 'assistant', content: text };
      return void res.end(
        JSON.stringify({
          id: 'c',
          model: 'm',
          choices: [{ index: 0, message, finish_reason: 'stop', token_ids: [9] }],
          prompt_token_ids: [1, 2],
        }),
      );
    }
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk({ role: 'assistant', content: '' }, { prompt_token_ids: [1, 2, number] }));
    res.write(chunk({ content: text }));
    res.write(usageChunk(20, 16));
    res.end('data: [DONE]\n\n');
  };
};

export type GatewayFixture = Awaited<ReturnType<typeof gatewayFixture>>;

/** What stands in the place of the fake engine. */
export interface GatewayOver extends Partial<
  Pick<CoreParts, 'checkpoints' | 'isolation' | 'folders' | 'limits' | 'onTook'>
> {
  readonly engine?: Engine;
  /** Of its server. */
  readonly url?: string;
  /** Between two readings of the gateway's clock. Default: as long as it takes. */
  readonly stepMs?: number;
  readonly healing?: Healing;
  readonly whyTooMany?: (client: string) => string | null;
}

/** The gateway over the real core and store, in front of a server that answers what the test says. */
export async function gatewayFixture(files: Files = diskFiles, over: GatewayOver = {}) {
  const { engine: given, url: urlOf, stepMs, healing = { heals: true, pins: false }, whyTooMany, ...parts } = over;
  let steppedMs = 0;
  const core = await coreFixture({}, files, (own) => ({
    ...own,
    ...parts,
    ...(given && { engines: { ...own.engines, defaultSpec: given.spec, get: () => given } }),
  }));
  const engine = given ?? core.engine;
  const passed: Passed[] = [];
  const responses: ServerResponse[] = [];
  const server: { answer: Answering; url: string } = { answer: numbered(), url: '' };
  const upstream = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (data: Buffer) => chunks.push(data));
    req.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = bytes.toString();
      const { promise: left, resolve } = Promise.withResolvers<void>();
      res.once('close', () => !res.writableFinished && resolve());
      const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
      const seen = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, bytes, text, body, left };
      passed.push(seen);
      responses.push(res);
      void server.answer(seen, res);
    });
  });
  server.url = await listening(upstream);
  const failures: unknown[] = [];
  const clients = new Clients(path.join(core.directory, 'gateway', 'clients.json'), (error) => failures.push(error));
  let lines: readonly string[] = [];
  const journal = { isFull: false, damaged: [] as string[], damage: (line: string) => void (lines = [...lines, line]) };
  const start = (): Gateway => {
    const started = new Gateway({
      outside: core.cwm.outside,
      clientTurns: core.cwm.clientTurns,
      engines: {
        defaultSpec: engine.spec,
        get: () => engine,
        address: async () => ({ url: urlOf ?? server.url, token: 'key of the server' }),
      },
      clock: {
        now: () => new Date(),
        elapsedMs: () => (stepMs === undefined ? performance.now() : (steppedMs += stepMs)),
      },
      clients,
      healing,
      journal: {
        read: async () => lines,
        append: async (more) => {
          if (journal.isFull) throw new Error('No space left for the journal.');
          lines = [...lines, ...more];
        },
        setAside: async (damaged) => void journal.damaged.push(...damaged),
        replace: async (all) => void (lines = all),
      },
      scratch: path.join(core.directory, 'gateway'),
      onFailure: (error) => failures.push(error),
    });
    if (whyTooMany) started.limitBy(whyTooMany);
    return started;
  };
  let gateway = start();
  const front = createServer((req, res) => {
    const address = gatewayAddress(req.url ?? '');
    if (address) void gateway.handle(req, res, address, gateway.clientOf(String(req.headers['x-api-key'] ?? '')));
    else res.writeHead(404).end();
  });
  const url = await listening(front);
  onTestFinished(async () => {
    for (const each of [front, upstream]) {
      each.closeAllConnections();
      each.close();
    }
    await gateway.close();
  });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Blob ? body : JSON.stringify(body),
      ...(signal && { signal }),
    });
  return {
    ...core,
    failures,
    journal,
    passed,
    /** Of the server, in the order of {@link passed}. */
    responses,
    clients: () => gateway.clients(),
    putClient: (name: string, change = {}) => gateway.putClient(name, change),
    revoke: (name: string) => clients.delete(name),
    settled: () => gateway.settled(),
    sessionChanged: (session: string) => gateway.sessionChanged(session),
    projectChanged: () => gateway.projectChanged(),
    /** Another process, which knows only what is stored. */
    async restart() {
      await gateway.close();
      gateway = start();
    },
    server,
    url,
    post,
    /** The text of a streamed chat's answer. */
    async chat(messages: readonly object[], headers: Record<string, string> = {}, path = '/v1') {
      const answer = await post(`${path}/chat/completions`, { model: 'm', messages, stream: true }, headers);
      const text = await answer.text();
      await gateway.settled();
      return { answer, text };
    },
    /** Every session with what was said on its branch. */
    async sessions() {
      await gateway.settled();
      const { items } = await core.cwm.listSessions({});
      return Promise.all(
        items.map(async (session) => {
          const said = await core.cwm.listMessages({ session: session.id });
          return {
            session,
            said: said.items.map(({ role, content, cut }) => ({ role, ...content, ...(cut && { cut }) })),
          };
        }),
      );
    },
  };
}

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
