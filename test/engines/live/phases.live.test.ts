import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { phases } from '../../../src/protocol/schemas/session.ts';
import { EngineProcess } from '../../embedded/support/engineProcess.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { productWithTools } from './productWithTools.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** What happens to the next request for an answer: a refusal that names a time, a connection that ends, or a stream that is cut. */
type Fault = 'busy' | 'closed' | 'cut';

/** A server in front of another one, with faults. */
async function faultyProxy(target: string, faults: Fault[]): Promise<string> {
  const pass = (asked: IncomingMessage, answer: ServerResponse): void => {
    const fault = asked.method === 'POST' && asked.url?.includes('completions') ? faults.shift() : undefined;
    if (fault === 'busy') return void answer.writeHead(503, { 'retry-after': '0' }).end('{"error":"busy"}');
    if (fault === 'closed') return void asked.socket.destroy();
    const { method, headers, url = '' } = asked;
    const passed = request(target + url, { method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 500, given.headers);
      let told = '';
      given.on('data', (chunk: Buffer) => {
        answer.write(chunk);
        told += chunk.toString();
        // By events, since a busy machine puts several of them into one chunk of the connection; late enough that the product has
        // given text on, because a stream that breaks before that is asked for again.
        if (fault === 'cut' && told.split('\n\n').length > 16) asked.socket.destroy();
      });
      given.on('end', () => answer.end());
    });
    passed.on('error', () => asked.socket.destroy());
    asked.pipe(passed);
  };
  const server = createServer(pass);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('S4-10 all nine phases occur in one conversation: a real model, a real tool, a busy server, and a stream that is cut', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-phases-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const template = join(import.meta.dirname, '..', 'toolCalls', 'templates', 'hermes.jinja');
  const flags = ['--model', gemmaModel(), '--context', '8192', '--chat-template', template];
  const server = await EngineProcess.start(join(folder, 'kv'), ...flags);
  cleanUps.push(() => server.kill());
  const faults: Fault[] = [];
  const engine = await faultyProxy(server.url, faults);
  const client = await productWithTools(cleanUps);
  const seen: string[] = [];
  client.onSignal(({ change }) => {
    if (change.type === 'session' && change.phase !== undefined) seen.push(change.phase);
  });
  await client.call('createSession', { id: 's', engine, tools: { policy: 'manual' } });

  faults.push('busy');
  const toolChoice = 'all_get-annotated-message';
  await client.call('send', { session: 's', text: 'How is it?', toolChoice, maxTokens: 100 });
  faults.push('cut');
  await expect(client.call('approveTools', { session: 's', maxTokens: 40 })).rejects.toThrow('broke off');
  const { items } = await client.call('listMessages', { session: 's' });
  expect(items.at(-1)).toMatchObject({ role: 'assistant', cut: 'failed' });
  expect((await client.call('getSession', { session: 's' })).phase).toBe('Idle');

  faults.push('closed', 'closed', 'closed', 'closed');
  await expect(client.call('send', { session: 's', text: 'And now?' })).rejects.toThrow('closed the connection');
  expect(await client.call('getSession', { session: 's' })).toMatchObject({
    phase: 'PermanentFailure',
    draft: 'And now?',
  });
  expect(new Set(seen)).toEqual(new Set(phases));
  noteFigure(`phases of one conversation, as its signals told them: ${seen.join(', ')}`);

  await client.call('send', { session: 's', text: 'And now?', maxTokens: 4 });
  expect((await client.call('getSession', { session: 's' })).phase).toBe('Idle');
}, 300_000);
