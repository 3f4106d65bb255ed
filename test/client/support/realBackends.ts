import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { programOf } from '../../support/programOf.ts';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import type { BackendStart } from '../../../src/client/backendChild.ts';
import { backendClient, type ConnectOptions } from '../../../src/client/connectBackend.ts';
import { backendRecordFile, type BackendRecord } from '../../../src/protocol/backendRecord.ts';
import { temporaryDirectories } from '../../backend/support/temporaryDirectory.ts';
import { until } from '../../support/until.ts';
import { isRunning } from '../../support/isRunning.ts';

export const backendEntry = programOf('backend');

export const realStart: BackendStart = { nodePath: process.execPath, entry: backendEntry };

export const readRecord = (storage: string): BackendRecord =>
  JSON.parse(readFileSync(join(storage, backendRecordFile), 'utf8')) as BackendRecord;

/** Ends a process at once and waits until it is gone. */
export async function killHard(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has just ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  await until(`process ${pid} is gone`, () => !isRunning(pid));
}

export interface RealBackends {
  readonly makeStorage: () => string;
  /** A client that is disposed after the test. */
  readonly client: (storage: string, options?: Partial<ConnectOptions>) => BackendClient;
}

/** Clients of real backend processes; those still running after a test are killed. */
export function realBackends(): RealBackends {
  const clients: BackendClient[] = [];
  const storages: string[] = [];
  // Hooks run last registered first: the processes end before their directories go.
  const makeDirectory = temporaryDirectories();
  afterEach(async () => {
    for (const client of clients.splice(0)) client.dispose();
    for (const storage of storages.splice(0)) await endBackendOf(storage);
  });
  return {
    makeStorage: () => {
      const storage = makeDirectory();
      storages.push(storage);
      return storage;
    },
    client: (storage, options = {}) => {
      const client = backendClient({ storage, start: realStart, deadlineMs: 60_000, ...options });
      clients.push(client);
      return client;
    },
  };
}

async function endBackendOf(storage: string): Promise<void> {
  let pid: number;
  try {
    ({ pid } = readRecord(storage));
  } catch {
    return;
  }
  if (isRunning(pid)) await killHard(pid);
}
