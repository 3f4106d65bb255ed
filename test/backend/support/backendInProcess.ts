import { afterEach } from 'vitest';
import { BackendClient } from '../../../src/client/backendClient.ts';
import { findBackend } from '../../../src/client/findBackend.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { LastEnd } from '../../../src/protocol/backendRecord.ts';
import { productVersion } from '../../../src/protocol/version.ts';
import type { Change, NamedEvent } from '../../../src/protocol/signals.ts';
import { startBackend, type BackendOptions, type RunningBackend } from '../../../src/backend/runningBackend.ts';
import { FakeDomain } from './fakeDomain.ts';
import { temporaryDirectories } from './temporaryDirectory.ts';

export interface BackendUnderTest {
  readonly backend: RunningBackend;
  readonly fake: FakeDomain;
  readonly storage: string;
  readonly client: BackendClient;
  emit(change: Change): void;
  tell(event: NamedEvent): void;
  /** How often the services were closed. */
  readonly closed: () => number;
}

interface BackendWish extends Partial<BackendOptions> {
  /** What it has no time to save when it ends. */
  readonly lost?: Omit<LastEnd, 'pid'>;
}

/** Starts backends with a fake domain inside the test's process, on real sockets; all are stopped after each test. */
export function backendsInProcess(): (options?: BackendWish) => Promise<BackendUnderTest> {
  const makeDirectory = temporaryDirectories();
  const running: BackendUnderTest[] = [];
  afterEach(async () => {
    for (const { backend, client } of running.splice(0)) {
      client.dispose();
      await backend.stop('the test is over');
    }
  });
  return async (options = {}) => {
    const storage = options.storage ?? makeDirectory();
    const fake = new FakeDomain();
    let closed = 0;
    let emitChange: (change: Change) => void = () => undefined;
    let tellEvent: (event: NamedEvent) => void = () => undefined;
    const backend = await startBackend(
      { storage, idleMs: 0, graceMs: 0, ...options },
      async (...[, emit, , , , , tell]) => {
        emitChange = emit;
        tellEvent = tell;
        return {
          operations: fake.operations,
          process: {
            health: async () => ({
              status: 'healthy',
              version: productVersion,
              pid: process.pid,
              storage,
              uptimeSeconds: 0,
              sessions: 0,
              windows: 0,
              engines: [],
              defaultEngine: 'embedded',
            }),
            doctor: () => Promise.reject(new CwmError('Internal', 'not here')),
            listModels: () => Promise.reject(new CwmError('Internal', 'not here')),
            listFiles: () => Promise.reject(new CwmError('Internal', 'not here')),
            projectConfig: async ({ folder }) => ({ folder, path: null, config: null }),
            discover: () => Promise.reject(new CwmError('Internal', 'not here')),
            useEngine: () => Promise.reject(new CwmError('Internal', 'not here')),
            encryption: async () => ({ state: 'off' as const, keyId: null, keyFile: null }),
            listBackups: async () => ({ items: [], restored: null }),
            tokenUsage: () => Promise.reject(new CwmError('Internal', 'not here')),
            metrics: () => Promise.reject(new CwmError('Internal', 'not here')),
            prometheus: () => Promise.reject(new CwmError('Internal', 'not here')),
            gatewayClients: () => Promise.reject(new CwmError('Internal', 'not here')),
            putGatewayClient: () => Promise.reject(new CwmError('Internal', 'not here')),
            deleteGatewayClient: () => Promise.reject(new CwmError('Internal', 'not here')),
            openApi: async () => ({ openapi: '3.1.0' }),
            verifyAudit: () => Promise.reject(new CwmError('Internal', 'not here')),
          },
          close: async () => {
            closed++;
            return options.lost ?? null;
          },
        };
      },
    );
    if (!backend) throw new Error('The directory is taken.');
    const client = new BackendClient({
      start: async () => backend.record,
      find: (signal) => findBackend({ storage }, signal),
    });
    const started = {
      backend,
      fake,
      storage,
      client,
      emit: (change: Change) => emitChange(change),
      tell: (event: NamedEvent) => tellEvent(event),
      closed: () => closed,
    };
    running.push(started);
    return started;
  };
}
