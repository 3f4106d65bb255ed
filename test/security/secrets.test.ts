import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CwmError } from '../../src/protocol/errors.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { wholeBackends, type WholeBackend } from './support/wholeBackend.ts';

const start = wholeBackends();

const apiKey = 'sk-planted-key-7b1f';
const text = 'planted sentence about the price of 4711 lamps';

/** What a user can be shown of failures and checks, collected. */
class Heard {
  readonly #said: string[] = [];

  add(value: unknown): void {
    this.#said.push(JSON.stringify(value));
  }

  async failure(call: Promise<unknown>): Promise<void> {
    await call.then(
      () => undefined,
      (error: unknown) => this.add((error as CwmError).report()),
    );
  }

  get all(): string {
    return this.#said.join('\n');
  }
}

/** Paths below the storage directory, with their bytes as text. */
async function filesOf(storage: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(storage, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(storage, path).replaceAll('\\', '/'), await readFile(path, 'latin1'));
  }
  return files;
}

const holding = (files: Map<string, string>, secret: string): string[] =>
  [...files].filter(([, content]) => content.includes(secret)).map(([path]) => path);

function saltsOf(files: Map<string, string>): string[] {
  const lineages = [...files].filter(([path]) => path.startsWith('lineages/'));
  return lineages.map(([, content]) => (JSON.parse(content) as { value: { salt: string } }).value.salt);
}

async function useEverything({ client }: WholeBackend, heard: Heard): Promise<void> {
  await client.call('createSession', { id: 's', title: 'A title', project: 'file:///p' });
  await client.call('send', { session: 's', text, maxTokens: 4 });
  heard.add(await client.call('freeze', { session: 's', window: 'w', description: 'A window' }));
  heard.add(await client.call('clone', { window: 'w', target: 'w2' }));
  heard.add(await client.call('thaw', { window: 'w', session: 't' }));
  await client.call('send', { session: 't', text: `${text}, again`, maxTokens: 4 });
  heard.add(await client.call('getWindow', { window: 'w' }));
  heard.add(await client.call('listWindows', {}));
  heard.add(await client.call('listSessions', {}));
  heard.add(await client.call('getSession', { session: 's' }));
  heard.add(await client.call('verify', {}));
  heard.add(await client.call('verifyAudit', {}));
  heard.add(await client.call('doctor', {}));
  heard.add(await client.call('health', { probe: true }));
  heard.add(await client.call('usage', {}));
  await heard.failure(client.call('freeze', { session: 's', window: 'w' }));
  await heard.failure(client.call('send', { session: 's', text }));
  await heard.failure(client.call('createSession', { id: 's', title: text }));
  await heard.failure(client.call('freeze', { session: 't', window: text }));
  heard.add(await client.call('deleteWindow', { window: 'w2' }));
}

describe('secrets', () => {
  it('S0-60 a salt is nowhere but in its lineage, a key nowhere at all, a text only in its messages', async () => {
    const backend = await start({ engineKey: apiKey });
    const heard = new Heard();
    await useEverything(backend, heard);
    await backend.stop();
    const files = await filesOf(backend.storage);
    const salts = saltsOf(files);
    expect(salts.length).toBeGreaterThan(0);
    for (const salt of salts) {
      expect(salt).toMatch(/^[0-9a-f]{64}$/);
      expect(holding(files, salt)).toEqual([expect.stringMatching(/^lineages\//)]);
      expect(heard.all).not.toContain(salt);
    }
    expect(holding(files, apiKey)).toEqual([]);
    expect(heard.all).not.toContain(apiKey);
    const withText = holding(files, text);
    expect(withText.length).toBeGreaterThan(0);
    for (const path of withText) expect(path).toMatch(/^contexts\/[a-z]+\/messages\//);
    expect(heard.all).not.toContain(text);
  });

  describe('when the model server tells all it was sent', () => {
    let servers: Server[] = [];
    afterEach(() => {
      for (const server of servers) server.closeAllConnections();
      for (const server of servers.splice(0)) server.close();
      servers = [];
    });

    /** Stands before a server and, from the moment it is told to, answers each completion with the whole request as its error. */
    async function echoing(
      target: string,
      how: number | 'stream' | 'redirect',
    ): Promise<{ url: string; begin: () => void }> {
      let echoes = false;
      const server = createServer((request, response) => {
        void (async () => {
          const body = await bodyOf(request);
          if (echoes && request.method === 'POST') {
            const told = `bad request: ${JSON.stringify(request.headers)} ${body}`;
            const code = typeof how === 'number' ? how : 400;
            const error = JSON.stringify({ error: { message: told, type: 'BadRequest', code }, detail: told });
            if (how === 'stream')
              response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${error}\n\n`);
            else if (how === 'redirect')
              response.writeHead(307, { location: `/login?told=${request.headers.authorization}` }).end();
            else response.writeHead(how, { 'content-type': 'application/json' }).end(error);
            return;
          }
          const headers = { 'content-type': 'application/json' };
          const init = request.method === 'POST' ? { method: 'POST', headers, body } : {};
          const answer = await fetch(`${target}${request.url}`, init);
          response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
          response.end(Buffer.from(await answer.arrayBuffer()));
        })();
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      return { url: `http://127.0.0.1:${port}`, begin: () => void (echoes = true) };
    }

    it('in its stream or as the place it redirects to, neither holds a salt or a key', async () => {
      const fake = await FakeVllm.start();
      for (const how of ['stream', 'redirect'] as const) {
        const echo = await echoing(fake.url, how);
        const backend = await start({ engine: echo.url, engineKey: apiKey });
        const heard = new Heard();
        await backend.client.call('createSession', { id: 's' });
        echo.begin();
        await heard.failure(backend.client.call('send', { session: 's', text, maxTokens: 4 }));
        await backend.stop();
        expect(heard.all).toMatch(/CWM-5.*•••/);
        const files = await filesOf(backend.storage);
        for (const secret of [apiKey, ...saltsOf(files)]) expect(heard.all).not.toContain(secret);
      }
      await fake.stop();
    });

    it.each([400, 401, 404, 500])('with status %i, neither logs nor errors hold a salt or a key', async (status) => {
      const fake = await FakeVllm.start();
      const echo = await echoing(fake.url, status);
      const backend = await start({ engine: echo.url, engineKey: apiKey });
      const { client } = backend;
      const heard = new Heard();
      await client.call('createSession', { id: 's' });
      await client.call('send', { session: 's', text, maxTokens: 4 });
      await client.call('freeze', { session: 's', window: 'w', checkpoint: true });
      echo.begin();
      await heard.failure(client.call('send', { session: 's', text: `${text}!`, maxTokens: 4 }));
      await heard.failure(client.call('freeze', { session: 's', window: 'w2' }));
      await heard.failure(client.call('thaw', { window: 'w' }));
      heard.add(await client.call('doctor', {}));
      heard.add(await client.call('health', { probe: true }));
      await backend.stop();
      await fake.stop();
      const files = await filesOf(backend.storage);
      expect(heard.all).toMatch(/CWM-5/);
      for (const salt of saltsOf(files)) {
        expect(holding(files, salt)).toEqual([expect.stringMatching(/^lineages\//)]);
        expect(heard.all).not.toContain(salt);
      }
      expect(holding(files, apiKey)).toEqual([]);
      expect(heard.all).not.toContain(apiKey);
      // The user's own words may come back to the user in a server's reason, and the first of them are the title; they are in no log.
      for (const path of holding(files, text))
        expect(path).toMatch(/^(?:index\.sqlite$|contexts\/(?:s|thaw-w-[^/]+)\/(?:messages\/|metadata\.json))/);
    });
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString('utf8');
}
