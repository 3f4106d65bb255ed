import type { ReuseEvidence } from '../../../core/ports/engine.ts';
import type { KvTier } from '../../../protocol/schemas/receipt.ts';
import { bySource, cachedBySource, type ServerMetrics } from './serverMetrics.ts';
import type { TokenUsage } from '../wire.ts';

/** The raw observation of one request. */
export interface Observation {
  /** 0 when it is unknown. */
  readonly sentTokens: number;
  readonly usage: TokenUsage | null;
  /** An earlier try may have filled the cache that this one used. */
  readonly triedBefore: boolean;
  readonly timeToFirstTokenMs: number | null;
  /** The server's own measure, without queueing; only with `--enable-per-request-metrics`. */
  readonly serverTimeToFirstTokenMs: number | null;
  /** The counters around the request; null when they cannot be read. */
  readonly before: ServerMetrics | null;
  readonly after: ServerMetrics | null;
  /** Tokens of another request of this client between these two readings, which could reuse nothing. Default 0: there was none. */
  readonly besideTokens?: number;
}

const tiers: Readonly<Record<string, KvTier>> = {
  device: 'device',
  host: 'host',
  disk: 'disk',
  p2p: 'p2p',
  external_unspecified: 'external',
  external_kv_transfer: 'external',
  local_cache_hit: 'device',
};

/**
 * Counters belong to the whole server, so they count only when they moved by exactly this one request. The number of cached tokens is the
 * answer's own, or the counters' where the answer gives none, or claims more than all tiers together gave. After a failed try the engine
 * may have computed the prompt and stored its KV; then "cached" proves nothing about earlier KV, and only a 0 is still true. When the
 * server counts another length of the prompt than was sent, no count is about this prompt.
 */
export function weigh(observation: Observation): ReuseEvidence {
  const { usage, before, after, triedBefore, sentTokens, besideTokens = 0 } = observation;
  const promptTokens = usage?.prompt_tokens ?? sentTokens;
  const deltas = before && after ? counterDeltas(before, after, besideTokens) : null;
  const isFromElsewhere = before && after && deltas ? hasNotArrived(before, after, deltas) : false;
  const serverIdle =
    before && after && deltas && !isFromElsewhere ? wasIdle(before, after, deltas, promptTokens) : null;
  const clean = serverIdle === true && deltas ? deltas : null;

  let cachedTokens = usage?.prompt_tokens_details?.cached_tokens ?? null;
  let cachedTokensFrom: ReuseEvidence['cachedTokensFrom'] = cachedTokens === null ? 'none' : 'usage';
  const counted = clean ? countedTokens(clean, promptTokens) : null;
  if (counted !== null && (cachedTokens === null || (clean?.cachedBySource && counted < cachedTokens)))
    [cachedTokens, cachedTokensFrom] = [counted, 'metrics'];
  const isOfAnother = sentTokens > 0 && promptTokens !== sentTokens;
  if (isFromElsewhere || isOfAnother || (triedBefore && cachedTokens !== 0))
    [cachedTokens, cachedTokensFrom] = [null, 'none'];

  return {
    promptTokens,
    cachedTokens,
    cachedTokensFrom,
    tier: cachedTokens === null || cachedTokens === 0 ? null : servingTier(clean),
    timeToFirstTokenMs: observation.timeToFirstTokenMs,
    serverIdle,
    counters: named(deltas, observation.serverTimeToFirstTokenMs),
    ...(isFromElsewhere && { isFromElsewhere }),
  };
}

interface CounterDeltas {
  readonly finished: number | null;
  readonly promptTokens: number | null;
  readonly bySource: ReadonlyMap<string, number> | null;
  readonly cachedBySource: ReadonlyMap<string, number> | null;
  readonly tierTraffic: ReadonlyMap<string, number> | null;
}

/** Without the request beside. Null when a counter fell: the server was restarted in between. */
function counterDeltas(before: ServerMetrics, after: ServerMetrics, besideTokens: number): CounterDeltas | null {
  const deltas = {
    finished: less(difference(before.requestsFinished, after.requestsFinished), besideTokens > 0 ? 1 : 0),
    promptTokens: less(difference(before.promptTokens, after.promptTokens), besideTokens),
    bySource: withoutComputed(differences(before.bySource, after.bySource), besideTokens),
    cachedBySource: differences(before.cachedBySource, after.cachedBySource),
    tierTraffic: differences(before.tierTraffic, after.tierTraffic),
  };
  const all = [deltas.finished, deltas.promptTokens, ...(deltas.bySource?.values() ?? [])];
  return all.some((value) => value !== null && value < 0) ? null : deltas;
}

const less = (value: number | null, by: number): number | null => value && value - by;

const withoutComputed = (
  bySource: ReadonlyMap<string, number> | null,
  tokens: number,
): ReadonlyMap<string, number> | null =>
  bySource &&
  new Map(
    [...bySource].map(([source, value]) => [source, source === 'local_compute' ? value && value - tokens : value]),
  );

/** A series is missing before its first event, and then counts from 0. */
function difference(before: number | null, after: number | null): number | null {
  return after === null ? null : after - (before ?? 0);
}

function differences(
  before: ReadonlyMap<string, number> | null,
  after: ReadonlyMap<string, number> | null,
): ReadonlyMap<string, number> | null {
  return after && new Map([...after].map(([source, value]) => [source, value - (before?.get(source) ?? 0)]));
}

/** Whether the server, with nothing in flight, has counted neither a request nor a token. */
const hasNotArrived = (
  before: ServerMetrics,
  after: ServerMetrics,
  { finished, promptTokens }: CounterDeltas,
): boolean =>
  before.requestsInFlight === 0 &&
  after.requestsInFlight === 0 &&
  (finished !== null || promptTokens !== null) &&
  (finished ?? 0) === 0 &&
  (promptTokens ?? 0) === 0;

/** Null when the server shows too little to decide. */
function wasIdle(
  before: ServerMetrics,
  after: ServerMetrics,
  { finished, promptTokens }: CounterDeltas,
  expectedTokens: number,
): boolean | null {
  if (before.requestsInFlight === null || after.requestsInFlight === null) return null;
  if (finished === null && promptTokens === null) return null;
  return (
    before.requestsInFlight === 0 &&
    after.requestsInFlight === 0 &&
    (finished === null || finished === 1) &&
    (promptTokens === null || promptTokens === expectedTokens)
  );
}

/** vLLM counts a block that came from another tier both as a local hit and as transferred, so what was computed is subtracted. */
function countedTokens({ bySource, cachedBySource }: CounterDeltas, promptTokens: number): number | null {
  if (cachedBySource) return [...cachedBySource.values()].reduce((a, b) => a + b, 0);
  const computed = bySource?.get('local_compute');
  return computed === undefined ? null : Math.max(0, promptTokens - computed);
}

function servingTier(clean: CounterDeltas | null): KvTier {
  const served = [...(clean?.cachedBySource ?? clean?.bySource ?? [])]
    .filter(([source, tokens]) => tokens > 0 && source !== 'local_compute')
    .map(([source]) => tiers[source] ?? 'unknown');
  const distinct = new Set(served);
  // Without the finer counter a transferred block is also a local hit: the transfer is the better fact.
  if (!clean?.cachedBySource && distinct.has('external')) return 'external';
  if (distinct.size > 1) return 'mixed';
  return served[0] ?? 'unknown';
}

function named(deltas: CounterDeltas | null, serverTimeToFirstTokenMs: number | null): Record<string, number> {
  const counters: Record<string, number> = {};
  if (serverTimeToFirstTokenMs !== null) counters['metrics.time_to_first_token_ms'] = serverTimeToFirstTokenMs;
  if (deltas === null) return counters;
  if (deltas.finished !== null) counters['vllm:request_success_total'] = deltas.finished;
  if (deltas.promptTokens !== null) counters['vllm:prompt_tokens_total'] = deltas.promptTokens;
  for (const [source, value] of deltas.bySource ?? []) counters[`${bySource}{source="${source}"}`] = value;
  for (const [source, value] of deltas.cachedBySource ?? []) counters[`${cachedBySource}{source="${source}"}`] = value;
  for (const [series, value] of deltas.tierTraffic ?? []) if (value !== 0) counters[series] = value;
  return counters;
}
