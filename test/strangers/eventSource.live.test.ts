import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { openBrowser, type OpenBrowser } from '../vscode/harness/browser.ts';
import { ensureChromium } from '../vscode/harness/chromium.ts';
import { serve, type Served } from './served.ts';

interface Heard {
  readonly name: string;
  readonly id: string;
  readonly data: Record<string, string | number>;
}

let folder = '';
let served: Served;
let front: Front;
let browser: OpenBrowser;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cwm-event-source-'));
  served = await serve(path.join(folder, 'storage'));
  front = await Front.start(served);
  browser = await openBrowser(await ensureChromium());
}, 180_000);
afterAll(async () => {
  await browser?.close();
  front?.close();
  await served?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What docs/protocol.md advises: a server of the user's own, with a page, which sends the token that `EventSource` cannot send. */
class Front {
  readonly url: string;
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  /** `Last-Event-ID` of each request for events. */
  readonly lastIds: (string | undefined)[] = [];

  private constructor(server: Server, { url, token }: Served) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on('request', (req, res: ServerResponse) => {
      if (req.url === '/') {
        res.setHeader('content-type', 'text/html').end('<title>A page</title>');
        return;
      }
      this.lastIds.push(req.headers['last-event-id'] as string | undefined);
      const headers = { ...req.headers, host: new URL(url).host, authorization: `Bearer ${token}` };
      const passed = request(`${url}${req.url}`, { headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(res);
      });
      passed.on('error', () => res.destroy());
      res.on('close', () => passed.destroy());
      this.#open.add(res);
      passed.end();
    });
  }

  static async start(served: Served): Promise<Front> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Front(server, served);
  }

  /** As a network that breaks. */
  cut(): void {
    for (const answer of this.#open) answer.destroy();
    this.#open.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

const names = [
  'Heartbeat',
  'StateChanged',
  'MessageCreated',
  'MessageCompleted',
  'ContentDelta',
  'TitleUpdated',
  'Resync',
];

/** The page's own `EventSource`, and what it hears. */
async function listening(query: string): Promise<{ readonly page: Page; readonly heard: () => Promise<Heard[]> }> {
  const page = await browser.newPage();
  await page.goto(front.url);
  await page.evaluate(
    ({ query, names }) => {
      const heard: unknown[] = [];
      const source = new EventSource(`/api/events${query}`);
      for (const name of names) {
        source.addEventListener(name, (event) => {
          const { lastEventId, data } = event as unknown as { readonly lastEventId: string; readonly data: string };
          heard.push({ name, id: lastEventId, data: JSON.parse(data) as unknown });
        });
      }
      Object.assign(globalThis, { heard });
    },
    { query, names },
  );
  return { page, heard: () => page.evaluate(() => (globalThis as unknown as { heard: Heard[] }).heard) };
}

test('S4-40 EventSource in Chromium hears a turn by its names, and its pieces are the answer', async () => {
  const { page, heard } = await listening('?named=true&delta=true&session=s');
  await until('the heartbeat', async () => (await heard()).length === 1);
  const { text, messageId } = await served.client.call('send', { session: 's', text: 'Say more.', maxTokens: 24 });
  await until('the turn has ended', async () => (await heard()).at(-1)?.data['new_state'] === 'Idle');
  const all = await heard();
  const pieces = all.filter(({ name }) => name === 'ContentDelta');
  expect(pieces.map(({ data }) => data['delta']).join('')).toBe(text);
  expect(new Set(pieces.map(({ data }) => data['message_id']))).toEqual(new Set([messageId]));
  expect(all.filter(({ name }) => name === 'MessageCompleted').map(({ data }) => data)).toEqual([
    { context_id: 's', message_id: messageId },
  ]);
  const states = all.filter(({ name }) => name === 'StateChanged').map(({ data }) => data['new_state']);
  expect(states).toContain('StreamingLLMResponse');
  await page.close();
});

test('S4-40 EventSource continues behind a cut connection with what it missed, by Last-Event-ID', async () => {
  const { page, heard } = await listening('?named=true&session=s');
  await until('the heartbeat', async () => (await heard()).length === 1);
  await served.client.call('send', { session: 's', text: 'First.', maxTokens: 2 });
  await until('the first turn', async () => (await heard()).at(-1)?.data['new_state'] === 'Idle');
  const before = await heard();
  front.cut();
  const { messageId } = await served.client.call('send', { session: 's', text: 'Second.', maxTokens: 2 });
  await until('the second turn', async () => (await heard()).some(({ data }) => data['message_id'] === messageId));
  await until('it has ended', async () => (await heard()).at(-1)?.data['new_state'] === 'Idle');
  expect(front.lastIds.at(-1)).toBe(before.at(-1)!.id);
  const ids = (await heard()).map(({ id }) => Number(id));
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  expect(new Set(ids).size).toBe(ids.length);
  expect((await heard()).map(({ name }) => name)).not.toContain('Resync');
  await page.close();
});
