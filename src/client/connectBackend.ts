import { apiVersions, type ApiVersions } from '../protocol/version.ts';
import { BackendClient, type BackendSource } from './backendClient.ts';
import type { BackendStart } from './backendChild.ts';
import { findBackend, findOrStartBackend } from './findBackend.ts';

export interface ConnectOptions {
  /** The storage directory, absolute. */
  readonly storage: string;
  /** Kind of program that asks, like `cli` or `vscode`. */
  readonly kind?: string;
  /** How to start a backend; null to use a running one only. */
  readonly start: BackendStart | null;
  /** Default: that of this program. An older backend retires; an older client uses a newer backend. */
  readonly api?: ApiVersions;
  /** How long a backend may take to answer after its start; default 30 s. */
  readonly deadlineMs?: number;
  /** How long the operations of an older backend are waited for; default 10 minutes. */
  readonly retireMs?: number;
  /** API key of the model server that a call is for; `engine` is what the call names, if it names one. */
  readonly engineKey?: (engine: string | undefined) => Promise<string | undefined>;
  /** URL of the server that the key is for. Default: the one that the call names, else that of new sessions. */
  readonly engineKeyFor?: string | undefined;
  /** As for the client itself. */
  readonly workingDirectory?: BackendSource['workingDirectory'];
}

/** A client whose backend is found, or started, with its first call; `connect` does it at once. */
export function backendClient(options: ConnectOptions): BackendClient {
  const find = {
    storage: options.storage,
    api: options.api ?? apiVersions,
    start: options.start,
    deadlineMs: options.deadlineMs ?? 30_000,
    ...(options.retireMs !== undefined && { retireMs: options.retireMs }),
  };
  return new BackendClient({
    api: find.api,
    ...(options.kind === undefined ? {} : { kind: options.kind }),
    start: (signal) => findOrStartBackend(find, signal),
    find: (signal) => findBackend(find, signal),
    workingDirectory: options.workingDirectory,
    ...(options.engineKey ? { engineKey: options.engineKey, engineKeyFor: options.engineKeyFor } : {}),
  });
}

/** A client whose backend is there. @throws what {@link findOrStartBackend} does. */
export async function connectBackend(options: ConnectOptions, signal?: AbortSignal): Promise<BackendClient> {
  const client = backendClient(options);
  try {
    await client.connect(signal);
    return client;
  } catch (error) {
    client.dispose();
    throw error;
  }
}
