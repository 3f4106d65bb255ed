import type { ReuseEvidence } from '../../../core/ports/engine.ts';
import type { ServerMetrics } from '../metrics/serverMetrics.ts';
import { hearEvents } from './hearEvents.ts';
import { claimsWhatCannotBe, type Completed, type ProbeParts } from '../probe.ts';
import { isFar, type KnownServer } from './knownServer.ts';

/** A server's claims of reuse are tested again after this time. */
const beliefMs = 3_600_000;

/** Counters that rose by more than this without a measured request have jumped, where the server tells no longest context. */
const jumpTokens = 131_072;

/**
 * A request's observation, without what rests on the word of a server that cannot be believed. The server is tested (asked for KV that it
 * cannot have) on the first claim of reuse of each thaw, on the first claim after an hour or after counters went back or jumped, and on
 * each claim that no counter confirms.
 *
 * @param probe tests the server.
 */
export async function weighWord(
  server: KnownServer,
  completed: Completed,
  probe: ProbeParts,
  signal: AbortSignal,
): Promise<ReuseEvidence> {
  const { before, after } = completed;
  const reuse = await hearEvents(server, completed, probe, signal);
  endBelief(server, before, after, probe.elapsedMs());
  const isOurs = server.identity.description.kind === 'embedded';
  const isClaim = reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens !== 0;
  const isCounted = reuse.serverIdle === true && (after?.cachedBySource ?? null) !== null;
  // An honest server answers 0 here, and its counters say 0.
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

/** The server behind the address may be another one now, or may have begun to lie. */
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
