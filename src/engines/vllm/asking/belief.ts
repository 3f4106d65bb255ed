import type { ReuseEvidence } from '../../../core/ports/engine.ts';
import type { ServerMetrics } from '../metrics/serverMetrics.ts';
import { claimsWhatCannotBe, type Completed, type ProbeParts } from '../probe.ts';
import { isFar, type KnownServer } from './knownServer.ts';

/** However well it goes, a server's word on reuse is tested again after this time. */
const beliefMs = 3_600_000;

/** Counters that rose by more than this without a measured request have jumped, where the server tells no longest context. */
const jumpTokens = 131_072;

/**
 * What a request showed, less what rests on the word of a server that can't be believed. The first claim of reuse of each thaw, the
 * first after an hour or after counters went back or jumped, and each that no counter confirms, has the server asked at once for what it can't have.
 *
 * @param probe asks the server.
 */
export async function weighWord(
  server: KnownServer,
  { reuse, before, after }: Completed,
  probe: ProbeParts,
  signal: AbortSignal,
): Promise<ReuseEvidence> {
  endBelief(server, before, after, probe.elapsedMs());
  const isOurs = server.identity.description.kind === 'embedded';
  const isClaim = reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens !== 0;
  const isCounted = reuse.serverIdle === true && (after?.cachedBySource ?? null) !== null;
  // To say 0, and to count so, is what the test is for.
  if (isFar(server) && isCounted && reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens === 0)
    server.isBelieved ??= true;
  if (!isOurs && isClaim && (server.isBelieved === null || (server.isBelieved && !isCounted))) {
    const claims = await claimsWhatCannotBe(probe, signal);
    if (claims === null) return unseen(reuse);
    server.isBelieved = !claims;
    server.askedAtMs = probe.elapsedMs();
  }
  return asBelieved(reuse, server);
}

/** A server that was honest once may be another one now, or may have begun to lie. */
function endBelief(
  server: KnownServer,
  before: ServerMetrics | null,
  after: ServerMetrics | null,
  nowMs: number,
): void {
  const counted = [before?.promptTokens, after?.promptTokens].filter((value) => typeof value === 'number');
  const unaccounted = (before?.promptTokens ?? server.countedTokens) - server.countedTokens;
  const hasJumped =
    server.countedTokens > 0 && unaccounted > (server.identity.description.model.maxModelLen ?? jumpTokens);
  const hasGoneBack = [server.countedTokens, ...counted].some((value, index, all) => value < (all[index - 1] ?? 0));
  server.countedTokens = counted.at(-1) ?? server.countedTokens;
  const isOld = nowMs - server.askedAtMs > beliefMs;
  if (server.isBelieved && (hasGoneBack || hasJumped || isOld)) server.isBelieved = null;
}

export const unseen = (reuse: ReuseEvidence): ReuseEvidence => ({
  ...reuse,
  cachedTokens: null,
  cachedTokensFrom: 'none',
});

export const asBelieved = (reuse: ReuseEvidence, { isBelieved }: KnownServer): ReuseEvidence =>
  isBelieved === false && reuse.cachedTokensFrom !== 'events' ? unseen(reuse) : reuse;
