import { optionIn } from '../../commandLine.ts';
import { parseJson } from '../../http/parseJson.ts';

/** The Unix socket at which a vLLM publishes events about its KV blocks, by its `--kv-events-config`; null where it names none. */
export function eventsIn(args: readonly string[]): string | null {
  const config = optionIn(args, '--kv-events-config');
  if (config === null) return null;
  try {
    const { enable_kv_cache_events: isOn, publisher = 'zmq', endpoint } = parseJson(config) as Record<string, unknown>;
    const isSocket = typeof endpoint === 'string' && /^ipc:\/\/\/[^*\0]+$/.test(endpoint);
    return isOn === true && publisher === 'zmq' && isSocket ? endpoint : null;
  } catch {
    return null;
  }
}
