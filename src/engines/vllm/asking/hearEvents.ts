import type { ReuseEvidence } from '../../../core/ports/engine.ts';
import { announcesReuse, type Completed, type ProbeParts } from '../probe.ts';
import type { KnownServer } from './knownServer.ts';

/**
 * What a request showed, with the silence of the server's events weighed. A server that publishes events need not name what it reuses: an older
 * version does not, nor one without prefix caching. So the first silence is followed by a test, and where the test is not announced
 * either, everything stays as it is without events.
 *
 * @param probe asks the server.
 */
export async function hearEvents(
  server: KnownServer,
  { reuse, withoutEvents }: Completed,
  probe: ProbeParts,
  signal: AbortSignal,
): Promise<ReuseEvidence> {
  if (withoutEvents === null) {
    if (reuse.cachedTokensFrom === 'events' && reuse.cachedTokens !== 0) server.announces = true;
    return reuse;
  }
  server.announces ??= await announcesReuse(probe, signal);
  return server.announces === false ? withoutEvents : reuse;
}
