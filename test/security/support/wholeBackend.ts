import { afterEach, type afterAll } from 'vitest';
import { composeServices } from '../../../src/backend/compose.ts';
import { startBackend, type RunningBackend } from '../../../src/backend/runningBackend.ts';
import type { Sleep } from '../../../src/engines/http/timing.ts';
import { BackendClient } from '../../../src/client/backendClient.ts';
import { findBackend } from '../../../src/client/findBackend.ts';
import { requestBackend, type BackendAnswer, type BackendRequest } from '../../../src/client/transport.ts';
import { temporaryDirectories } from '../../backend/support/temporaryDirectory.ts';
import { FakeVllm } from '../../fakes/fakeVllm.ts';

export interface WholeBackendOptions {
  /** Default: a fresh one. */
  readonly storage?: string;
  /** Default: a fake vLLM of its own. */
  readonly engine?: string;
  readonly ratePerMinute?: number;
  readonly gatewayRatePerMinute?: number;
  /** Of the client; default `cli`. */
  readonly kind?: string;
  /** API key that the client hands over for the model server. */
  readonly engineKey?: string;
  /** Port of loopback on which it listens; default: none. */
  readonly port?: number;
  /** A module with policies of eviction; default: none. */
  readonly memoryPolicyFile?: string;
  /** Where the gateway listens once it is opened; default: one that the system chooses. */
  readonly gatewayPort?: number;
  /** It ends by itself after this long without a client; default: never. */
  readonly idleMs?: number;
}

export interface WholeBackend {
  readonly backend: RunningBackend;
  readonly storage: string;
  readonly engine: string;
  readonly client: BackendClient;
  readonly raw: (request: BackendRequest) => Promise<BackendAnswer>;
  readonly stop: () => Promise<void>;
}

const noPause: Sleep = async (_, signal) => signal.throwIfAborted();

/**
 * Starts backends as the program does, within the test's process and on a fake vLLM; all of it is ended after each test, or after all of
 * them. Their engines ask a server that fails as often as the program's do, without a pause in between.
 */
export function wholeBackends(
  after: typeof afterEach | typeof afterAll = afterEach,
): (options?: WholeBackendOptions) => Promise<WholeBackend> {
  const makeDirectory = temporaryDirectories(after);
  const running: (() => Promise<void>)[] = [];
  after(async () => {
    for (const stop of running.splice(0).reverse()) await stop();
  });
  return async (options = {}) => {
    const storage = options.storage ?? makeDirectory();
    const fake = options.engine === undefined ? await FakeVllm.start() : null;
    if (fake) running.push(() => fake.stop());
    const engine = options.engine ?? fake?.url ?? '';
    const { ratePerMinute = 60, gatewayRatePerMinute = 600 } = options;
    const tokenFile = `${storage}/http-token`;
    const http = options.port === undefined ? null : { address: String(options.port), remote: false, tokenFile };
    const backend = await startBackend(
      {
        storage,
        idleMs: options.idleMs ?? 0,
        graceMs: 0,
        ratePerMinute,
        gatewayRatePerMinute,
        http,
        gatewayPort: options.gatewayPort ?? 0,
      },
      composeServices({
        defaultEngine: engine,
        embeddedArgs: [],
        ratePerMinute,
        memoryPolicyFile: options.memoryPolicyFile ?? null,
        sleep: noPause,
      }),
    );
    if (!backend) throw new Error('The directory is taken.');
    const client = new BackendClient({
      kind: options.kind ?? 'cli',
      start: async () => backend.record,
      find: (signal) => findBackend({ storage }, signal),
      ...(options.engineKey === undefined ? {} : { engineKey: async () => options.engineKey }),
    });
    const stop = async (): Promise<void> => {
      client.dispose();
      await backend.stop('the test is over');
    };
    running.push(stop);
    const raw = (request: BackendRequest) => requestBackend(backend.record, request, { timeoutMs: 20_000 });
    return { backend, storage, engine, client, raw, stop };
  };
}
