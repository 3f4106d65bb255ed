import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { composeServices } from '../../src/backend/compose.ts';
import { startBackend } from '../../src/backend/runningBackend.ts';
import { BackendClient } from '../../src/client/backendClient.ts';
import { findBackend } from '../../src/client/findBackend.ts';
import { allItems } from '../../src/protocol/paging.ts';
import { gemmaModel } from '../engines/live/gemmaModel.ts';

/** The whole backend with its gateway, over a real model. */
export interface Served {
  readonly url: string;
  readonly token: string;
  readonly storage: string;
  readonly client: BackendClient;
  /** Every session with what was said on its branch. */
  sessions(): Promise<
    { readonly project: string | null; readonly branches: number; readonly said: readonly string[] }[]
  >;
  /** Names of the tools that the model called on a session's branch, and whose results stand there. */
  called(session: string): Promise<readonly string[]>;
  /** When a client last closed its connection before the answer's end, as `performance.now()` has it; null: none did. */
  leftMs(): number | null;
  /** SIGKILL for the embedded engine, if it runs. */
  killEngine(): Promise<void>;
  /** Ends the backend and its engine, and starts them again over the same storage and at the same address. */
  restart(): Promise<void>;
}

export async function served(cleanUps: (() => Promise<unknown>)[], engine: string | null = null): Promise<Served> {
  const storage = await mkdtemp(path.join(tmpdir(), 'cwm-clients-'));
  const tokenFile = path.join(storage, 'http-token');
  cleanUps.push(() => rm(storage, { recursive: true, force: true }));
  const compose = composeServices({
    defaultEngine: engine,
    embeddedArgs: ['--model', gemmaModel()],
    ratePerMinute: 60,
  });
  const start = async (address: string) => {
    const http = { address, remote: false, tokenFile };
    const started = await startBackend({ storage, idleMs: 0, graceMs: 0, http }, compose);
    if (!started) throw new Error('The storage directory is taken.');
    return started;
  };
  let backend = await start('127.0.0.1:0');
  cleanUps.push(() => backend.stop('the test is over'));
  const connect = (): BackendClient =>
    new BackendClient({ start: async () => backend.record, find: (signal) => findBackend({ storage }, signal) });
  let client = connect();
  cleanUps.push(async () => client.dispose());
  const url = backend.record.http ?? '';
  let leftMs: number | null = null;
  const watch = (message: unknown): void => {
    const { request, response } = message as { readonly request: IncomingMessage; readonly response: ServerResponse };
    if (String(request.socket.localPort) !== new URL(url).port) return;
    response.once('close', () => {
      if (!response.writableFinished) leftMs = performance.now();
    });
  };
  subscribe('http.server.request.start', watch);
  cleanUps.push(async () => unsubscribe('http.server.request.start', watch));
  const messagesOf = (session: string) => allItems((page) => client.call('listMessages', { session, ...page }));
  return {
    url,
    leftMs: () => leftMs,
    storage,
    token: readFileSync(tokenFile, 'utf8').trim(),
    get client() {
      return client;
    },
    async sessions() {
      const { items } = await client.call('listSessions', {});
      return Promise.all(
        items.map(async ({ id, project, branches }) => {
          const said = await messagesOf(id);
          const texts = said.map(
            ({ role, content, cut = '' }) =>
              `${role}${cut && ` (${cut})`}: ${'text' in content ? content.text : content.type}`,
          );
          return { project, branches: Object.keys(branches).length, said: texts };
        }),
      );
    },
    async called(session) {
      const said = await messagesOf(session);
      const answered = new Set(said.flatMap(({ content }) => (content.type === 'tool-result' ? [content.call] : [])));
      const calls = said.flatMap(({ content }) => (content.type === 'tool-calls' ? content.calls : []));
      return calls.filter(({ id }) => answered.has(id)).map(({ name }) => name);
    },
    async killEngine() {
      const { engines } = await client.call('health', {});
      for (const { pid } of engines) if (pid !== null) process.kill(pid, 'SIGKILL');
    },
    async restart() {
      client.dispose();
      await backend.stop('the test restarts it');
      backend = await start(new URL(url).host);
      client = connect();
    },
  };
}
