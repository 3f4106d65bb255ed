import { createServer, request as send } from 'node:http';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withBackendOn } from '../../../bench/passingBackend.ts';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import { eventually } from '../../support/eventually.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const minutes = 60_000;

interface Seen {
  readonly path: string;
  readonly text: string;
  answer: string;
}

/** What arrives at a server, and what it answers. @param hidden routes that it seems not to have. */
async function watched(target: string, hidden: RegExp | null) {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (data: Buffer) => chunks.push(data));
    req.on('end', () => {
      if (hidden?.test(req.url ?? '')) return void res.writeHead(404).end('{}');
      const body = Buffer.concat(chunks);
      const one = { path: req.url ?? '', text: body.toString(), answer: '' };
      if (/^\/v1\/(chat|responses|messages)/.test(one.path) && one.text !== '{}') seen.push(one);
      const { 'transfer-encoding': _chunked, ...headers } = req.headers;
      const passed = send(new URL(one.path, target), {
        method: req.method,
        headers: { ...headers, 'content-length': String(body.length) },
      });
      passed.on('response', (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('data', (data: Buffer) => (one.answer += data.toString()));
        answer.pipe(res);
      });
      passed.on('error', () => res.destroy());
      res.on('close', () => passed.destroy());
      passed.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(made, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return made;
};

interface Asking {
  readonly client: BackendClient;
  /** @returns the answer's stream as the client got it. */
  readonly ask: (path: string, body: object) => Promise<string>;
}

async function throughGateway<T>(engine: string, task: (asking: Asking) => Promise<T>): Promise<T> {
  const storage = await folder();
  const work = async (client: BackendClient): Promise<T> => {
    const { http } = await client.connect();
    const token = (await readFile(join(storage, 'http-token'), 'utf8')).trim();
    const ask = async (path: string, body: object): Promise<string> => {
      const answer = await fetch(`${http ?? ''}/p/live/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-cwm-token': token },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      expect(answer.status, text).toBe(200);
      return text;
    };
    return task({ client, ask });
  };
  return withBackendOn(storage, work, ['--http', '127.0.0.1:0', '--engine', engine]);
}

const withoutComments = (text: string): string => text.replaceAll(/^: .*\n\n/gm, '');

const textsOf = (stream: string): string =>
  stream
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice(6)) as { type: string; delta?: string | { text?: string } })
    .map(({ type, delta }) => {
      if (type === 'content_block_delta' && typeof delta === 'object') return delta.text ?? '';
      return type === 'response.output_text.delta' && typeof delta === 'string' ? delta : '';
    })
    .join('');

const idOf = (stream: string): string => /"id":"(resp_[^"]+)"/.exec(stream)?.[1] ?? '';

/** Of the comment at a stream's end. */
function reusedIn(stream: string): { readonly reused: number; readonly sent: number } {
  const [, reused, sent] = /cwm reused (\d+) of (\d+) prompt tokens/.exec(stream) ?? [];
  return { reused: Number(reused), sent: Number(sent) };
}

/** How many messages each session has. */
const lengthsOf = async (client: BackendClient): Promise<unknown> => {
  const { items } = await client.call('listSessions', {});
  return items.map(({ branches, activeBranch }) => branches[activeBranch]?.length);
};

const rules = Array.from({ length: 60 }, (_, at) => `Rule ${at}: be brief and kind.`).join('\n');
const marker = { cache_control: { type: 'ephemeral' } };
const hologram = { type: 'hologram', data: '☃', lines: [1, 2] };
const head = { model: 'served', stream: true, temperature: 0 };

/** As Claude Code sends it: parts with moving markers, tools, thinking, metadata. */
const claude = (messages: readonly object[]): object => ({
  ...head,
  max_tokens: 8,
  system: [{ type: 'text', text: rules, ...marker }],
  messages,
  tools: [{ name: 'Read', description: 'Reads', input_schema: { type: 'object', properties: {} } }],
  thinking: { type: 'adaptive' },
  metadata: { user_id: 'u' },
  context_management: { edits: [] },
});

const codex = (input: readonly object[], more: object = {}): object => ({
  ...head,
  max_output_tokens: 8,
  instructions: rules,
  input,
  tools: [{ type: 'function', name: 'shell', strict: false, parameters: { type: 'object', properties: {} } }],
  store: true,
  include: ['reasoning.encrypted_content'],
  ...more,
});

const message = (role: string, type: string, text: string): object => ({
  type: 'message',
  role,
  content: [{ type, text }],
});

describe('the formats of clients at real servers', () => {
  test(
    'a server that is only known as OpenAI-compatible gets both formats as they are, and two turns are one session',
    async () => {
      const server = await startLlamaServer(
        { modelPath: gemmaModel(), contextTokens: 8192, servedName: 'served' },
        never,
      );
      onTestFinished(() => server.stop());
      const { url, seen } = await watched(server.url, /^\/(props|slots|metrics|apply-template|tokenize|health)/);
      await throughGateway(url, async ({ client, ask }) => {
        const user = { role: 'user', content: [hologram, { type: 'text', text: 'Say hi', ...marker }] };
        const one = await ask('/messages?beta=true', claude([user]));
        expect(seen[0]).toMatchObject({ path: '/v1/messages?beta=true', text: JSON.stringify(claude([user])) });
        expect(withoutComments(one)).toBe(seen[0]?.answer);
        const more = [
          { role: 'user', content: [hologram, { type: 'text', text: 'Say hi' }] },
          { role: 'assistant', content: [{ type: 'text', text: textsOf(one), ...marker }] },
          { role: 'user', content: [{ type: 'text', text: 'And again', ...marker }] },
        ];
        const messages = reusedIn(await ask('/messages?beta=true', claude(more)));
        // The marker is where it was in the first request.
        expect(JSON.parse(seen[1]?.text ?? '')).toMatchObject({ messages: [user, {}, {}] });

        const first = await ask('/responses', codex([message('user', 'input_text', 'Say hi')]));
        expect(withoutComments(first)).toBe(seen[2]?.answer);
        const next = codex([message('user', 'input_text', 'And again')], { previous_response_id: idOf(first) });
        const responses = reusedIn(await ask('/responses', next));
        expect(JSON.parse(seen[3]?.text ?? '')).toMatchObject({
          store: false,
          input: [{ role: 'user' }, { role: 'assistant', content: [{ text: textsOf(first) }] }, { role: 'user' }],
        });
        noteFigure(
          `a server known as OpenAI-compatible, second turns: Messages ${messages.reused} of ${messages.sent}, Responses ${responses.reused} of ${responses.sent} tokens reused`,
        );
        for (const { reused, sent } of [messages, responses]) expect(reused).toBeGreaterThan(sent - 60);
        await eventually(async () => expect(await lengthsOf(client)).toEqual([4, 4]));
      });
    },
    5 * minutes,
  );

  test(
    'llama-server is asked in chat completions while these say all, and gets a block that nobody knows as it is',
    async () => {
      const slotDir = await folder();
      const start = { modelPath: gemmaModel(), contextTokens: 8192, servedName: 'served', slotDir };
      const server = await startLlamaServer(start, never);
      onTestFinished(() => server.stop());
      const { url, seen } = await watched(server.url, null);
      await throughGateway(`${url}#slots=${encodeURI(slotDir)}`, async ({ client, ask }) => {
        const user = { role: 'user', content: 'Say hi' };
        const one = await ask('/messages', claude([user]));
        const more = [user, { role: 'assistant', content: textsOf(one) }, { role: 'user', content: 'And again' }];
        const two = await ask('/messages', claude(more));
        const last = { role: 'user', content: [hologram, { type: 'text', text: 'What is this?' }] };
        const three = await ask('/messages', claude([...more, { role: 'assistant', content: textsOf(two) }, last]));
        expect(seen.map(({ path }) => path)).toEqual(['/v1/chat/completions', '/v1/chat/completions', '/v1/messages']);
        expect(JSON.parse(seen[2]?.text ?? '')).toMatchObject({ messages: [{}, {}, {}, {}, last] });
        const [chat, own] = [reusedIn(two), reusedIn(three)];
        noteFigure(
          `llama-server, Messages as chat completions ${chat.reused} of ${chat.sent}, then in their own format ${own.reused} of ${own.sent} tokens reused`,
        );
        // Both forms say the same to the model.
        for (const { reused, sent } of [chat, own]) expect(reused).toBeGreaterThan(sent - 60);
        await eventually(async () => expect(await lengthsOf(client)).toEqual([6]));
      });
    },
    5 * minutes,
  );

  test(
    'vLLM gets Responses with tools that chat completions do not have, and tells their tokens',
    async () => {
      const server = await startVllm({ model: await vllmModel('tiny', { signal: never }), connector: 'none' }, never);
      onTestFinished(() => server.stop());
      const { url, seen } = await watched(server.url, null);
      await throughGateway(url, async ({ client, ask }) => {
        const free = {
          model: 'tiny',
          instructions: rules.slice(0, 600),
          tools: [{ type: 'custom', name: 'sh' }],
          tool_choice: 'none',
        };
        const one = await ask('/responses', codex([message('user', 'input_text', 'Say hi')], free));
        const next = { ...free, previous_response_id: idOf(one) };
        const two = await ask('/responses', codex([message('user', 'input_text', 'And again')], next));
        expect(seen.map(({ path }) => path)).toEqual(['/v1/responses', '/v1/responses']);
        expect(one).not.toContain('raw_message_tokens');
        const { reused, sent } = reusedIn(two);
        noteFigure(`vLLM, Responses in their own format: ${reused} of ${sent} tokens reused in the second turn`);
        await eventually(async () => expect(await lengthsOf(client)).toEqual([4]));
        const { items } = await client.call('listSessions', {});
        expect(items).toMatchObject([{ tokens: { promptCount: sent, source: 'engine' } }]);
        // Whole blocks of what the first turn computed.
        expect(reused).toBeGreaterThan(reusedIn(one).sent - 40);
      });
    },
    10 * minutes,
  );
});
