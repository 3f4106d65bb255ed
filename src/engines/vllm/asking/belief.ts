import type { ReuseEvidence } from '../../../core/ports/engine.ts';
import type { ServerMetrics } from '../metrics/serverMetrics.ts';
import { hearEvents } from './hearEvents.ts';
import { claimsWhatCannotBe, claimTokens, type Completed, type ProbeParts } from '../probe.ts';
import type { BesideTest } from './countedRequests.ts';
import { isFar, type KnownServer } from './knownServer.ts';

/** A server's claims of reuse are tested again after this time. */
const beliefMs = 3_600_000;

/** Counters that rose by more than this without a measured request have jumped, where the server tells no longest context. */
const jumpTokens = 131_072;

/**
 * A request's observation, without what rests on the word of a server that cannot be believed. The server is tested (asked for KV that it
 * cannot have) on the first claim of reuse of each thaw, in most cases beside it, on the first claim after an hour or after counters went back or jumped, and on
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
  const isCounted = isConfirmed(reuse, after);
  // An honest server answers 0 here, and its counters say 0.
  if (isFar(server) && isCounted && reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens === 0)
    server.isBelieved ??= true;
  if (!isOurs && isClaim && (server.isBelieved === null || (server.isBelieved && !isCounted))) {
    const claims = completed.claims ?? (await claimsWhatCannotBe(probe, signal));
    if (claims === null) return unseen(reuse);
    server.isBelieved = !claims;
    server.askedAtMs = probe.elapsedMs();
  }
  return asBelieved(reuse, server);
}

/**
 * The test of {@link weighWord} for a request that will probably claim reuse, so that it need not take time of its own. Only for vLLM, which
 * works on both at once; null where no test is due.
 */
export function testBeside(
  { isBelieved, identity }: KnownServer,
  probe: ProbeParts,
  signal: AbortSignal,
): BesideTest | null {
  if (isBelieved !== null || identity.description.kind !== 'vllm') return null;
  return { tokens: claimTokens(identity), ask: () => claimsWhatCannotBe(probe, signal) };
}

/** Whether the counters of a server that nobody else used say the same. */
const isConfirmed = ({ serverIdle }: ReuseEvidence, after: ServerMetrics | null): boolean =>
  serverIdle === true && (after?.cachedBySource ?? null) !== null;

/** Whether {@link weighWord} would take the observation as it is, without asking the server anything. */
export function isTested(server: KnownServer, { reuse, before, after }: Completed, nowMs: number): boolean {
  if (server.identity.description.kind === 'embedded') return true;
  const isDoubted = server.isBelieved !== true || givesDoubt(server, before, after, nowMs);
  return !isDoubted && reuse.cachedTokensFrom === 'usage' && isConfirmed(reuse, after);
}

/** The server behind the address may be another one now, or may have begun to lie. */
function endBelief(
  server: KnownServer,
  before: ServerMetrics | null,
  after: ServerMetrics | null,
  nowMs: number,
): void {
  if (server.isBelieved && givesDoubt(server, before, after, nowMs)) server.isBelieved = null;
  server.countedTokens = countedIn(before, after).at(-1) ?? server.countedTokens;
}

function givesDoubt(
  { countedTokens, askedAtMs, identity }: KnownServer,
  before: ServerMetrics | null,
  after: ServerMetrics | null,
  nowMs: number,
): boolean {
  const unaccounted = (before?.promptTokens ?? countedTokens) - countedTokens;
  const hasJumped = countedTokens > 0 && unaccounted > (identity.description.model.maxModelLen ?? jumpTokens);
  const counted = [countedTokens, ...countedIn(before, after)];
  const hasGoneBack = counted.some((value, index) => value < (counted[index - 1] ?? 0));
  return hasJumped || hasGoneBack || nowMs - askedAtMs > beliefMs;
}

const countedIn = (before: ServerMetrics | null, after: ServerMetrics | null): number[] =>
  [before?.promptTokens, after?.promptTokens].filter((value) => typeof value === 'number');

export const unseen = (reuse: ReuseEvidence): ReuseEvidence => ({
  ...reuse,
  cachedTokens: null,
  cachedTokensFrom: 'none',
});

export const asBelieved = (reuse: ReuseEvidence, { isBelieved }: KnownServer): ReuseEvidence =>
  isBelieved === false && reuse.cachedTokensFrom !== 'events' ? unseen(reuse) : reuse;
