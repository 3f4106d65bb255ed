import { readFileSync } from 'node:fs';
import path from 'node:path';
import { composeServices } from '../../src/backend/compose.ts';
import { startBackend } from '../../src/backend/runningBackend.ts';
import type { Sleep } from '../../src/engines/http/timing.ts';
import { BackendClient } from '../../src/client/backendClient.ts';
import { findBackend } from '../../src/client/findBackend.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';

export interface Served {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly token: string;
  readonly client: BackendClient;
  readonly stop: () => Promise<void>;
}

const noPause: Sleep = async (_, signal) => signal.throwIfAborted();

/** A whole backend on TCP over a fake vLLM, with a session "s" and its checkpoint "w", and without a limit of changes. */
export async function serve(storage: string): Promise<Served> {
  const fake = await FakeVllm.start();
  const tokenFile = path.join(storage, 'token');
  const backend = await startBackend(
    { storage, idleMs: 0, graceMs: 0, ratePerMinute: 0, http: { address: '127.0.0.1:0', remote: false, tokenFile } },
    composeServices({ defaultEngine: fake.url, embeddedArgs: [], ratePerMinute: 0, sleep: noPause }),
  );
  if (!backend) throw new Error('The directory is taken.');
  const client = new BackendClient({
    kind: 'cli',
    start: async () => backend.record,
    find: (signal) => findBackend({ storage }, signal),
  });
  await client.call('createSession', { id: 's', project: 'file:///p' });
  await client.call('send', { session: 's', text: 'What is ice?', maxTokens: 2 });
  await client.call('freeze', { session: 's', window: 'w', checkpoint: true });
  return {
    url: backend.record.http ?? '',
    token: readFileSync(tokenFile, 'utf8').trim(),
    client,
    stop: async () => {
      client.dispose();
      await backend.stop('the test is over');
      await fake.stop();
    },
  };
}
