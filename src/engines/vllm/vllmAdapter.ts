import type { EngineAdapter } from '../engineAdapter.ts';
import type { EventSource } from './events/eventSource.ts';
import { eventsIn } from './findings/eventsIn.ts';
import { fileTierIn } from './findings/fileTierIn.ts';
import { VllmEngine } from './vllmEngine.ts';

/**
 * vLLM, and any other server that speaks the OpenAI API: the last one to ask. `#tier=DIR` names the `root_dir` of its file tier as this
 * machine sees it, `#lmcache=URL` the coordinator of the LMCache that stores its KV, `#events=ipc:///PATH` the endpoint of
 * `--kv-events-config`, `#model=NAME` the model to use on a server with several.
 */
export const vllmAdapter: EngineAdapter = {
  places: { tier: 'folder', lmcache: 'url', events: 'socket', model: 'name' },
  foldersIn(args): Record<string, string> {
    const tier = fileTierIn(args);
    return tier === null ? {} : { tier };
  },
  socketsIn(args): Record<string, string> {
    const events = eventsIn(args);
    return events === null ? {} : { events };
  },
  recognises: async () => true,
  create: ({ spec, connect, sleep, places: { tier, lmcache, events, model }, offered }) =>
    new VllmEngine({
      spec,
      connect,
      sleep,
      model,
      lmcache,
      blockFiles: tier === undefined ? undefined : { rootDir: tier },
      events: events === undefined ? undefined : () => subscribe(events),
      offeredEvents: offered?.['events'],
    }),
};

/** Loaded only where a spec names events. */
async function subscribe(endpoint: string): Promise<EventSource> {
  const { ZmtpSubscriber } = await import('./events/zmtpSubscriber.ts');
  return new ZmtpSubscriber(endpoint);
}
