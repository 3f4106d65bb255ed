import type { Link } from '../../http/link.ts';
import type { Timer } from '../../http/timing.ts';
import { failureOrThrow } from '../../probe/tinyRequests.ts';
import { serverInfoSchema } from '../wire.ts';

/** The first answer to `/server_info` takes vLLM seconds, later ones none. */
const patienceMs = 1_000;

/** Connectors that find KV by the text only (LMCache#2878, vllm#53495). */
const saltBlind: ReadonlySet<string> = new Set([
  'LMCacheConnectorV1',
  'LMCacheConnector',
  'ExampleConnector',
  'SharedStorageConnector',
]);
/** Connectors that find KV by vLLM's own block hashes, which include the salt. */
const saltBound: ReadonlySet<string> = new Set(['OffloadingConnector', 'SimpleCPUOffloadConnector']);

export const ignoresSalt = (connector: string): boolean => saltBlind.has(connector);
export const keepsSalt = (connector: string): boolean => saltBound.has(connector);

/**
 * Names of the KV connectors, which only a server in development mode gives.
 *
 * @returns null when it does not give them; `late` when it did not answer soon.
 */
export async function readConnectors(
  link: Link,
  timer: Timer,
  signal: AbortSignal,
): Promise<readonly string[] | null | 'late'> {
  const timeout = new AbortController();
  const cancel = timer.schedule(patienceMs, () => timeout.abort());
  const request = {
    method: 'GET',
    path: '/server_info?config_format=json',
    patience: 'small',
    wrongAnswer: 'NotAnEngine',
    once: true,
  } as const;
  try {
    const { value } = await link.json(request, serverInfoSchema, AbortSignal.any([signal, timeout.signal]));
    const config = value.vllm_config.kv_transfer_config;
    const parts = config?.kv_connector_extra_config?.connectors ?? [];
    return [config?.kv_connector, ...parts.map((part) => part.kv_connector)].filter((name) => typeof name === 'string');
  } catch (error) {
    failureOrThrow(error, signal);
    return timeout.signal.aborted ? 'late' : null;
  } finally {
    cancel();
  }
}
