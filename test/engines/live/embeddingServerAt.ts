import { systemClock } from '../../../src/base/clock.ts';
import { EmbeddingServer } from '../../../src/engines/embeddings/embeddingServer.ts';
import { LinkFactory } from '../../../src/engines/http/linkFactory.ts';
import { defaultTimeouts, systemSleep, systemTimer } from '../../../src/engines/http/timing.ts';

/** A real server of embeddings, as the product asks it. */
export function embeddingServerAt(url: string): { readonly server: EmbeddingServer; close(): Promise<void> } {
  const links = new LinkFactory({
    connect: async () => ({ url }),
    apiKey: undefined,
    timeouts: defaultTimeouts,
    timer: systemTimer,
    sleep: systemSleep,
    random: Math.random,
    onConnectionFailure: () => undefined,
  });
  const server = new EmbeddingServer({ server: url, links, clock: systemClock, isOfChats: false });
  return { server, close: () => links.close() };
}
