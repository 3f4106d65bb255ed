import { parseSamples, type Sample } from './promText.ts';

const running = 'vllm:num_requests_running';
const waiting = 'vllm:num_requests_waiting';
const finished = 'vllm:request_success_total';
const promptTokens = 'vllm:prompt_tokens_total';
export const bySource = 'vllm:prompt_tokens_by_source_total';
export const cachedBySource = 'vllm:prompt_tokens_cached_by_source_total';
const cacheConfig = 'vllm:cache_config_info';
const processStart = 'process_start_time_seconds';

/** Traffic between vLLM's tiers: shown beside a verdict, never its reason. */
const tierTraffic = [
  'vllm:external_prefix_cache_hits_total',
  'vllm:kv_offload_total_bytes_total',
  'vllm:kv_offload_load_bytes_total',
  'vllm:kv_offload_store_bytes_total',
  'vllm:kv_offload_tiering_read_bytes_total',
  'vllm:kv_offload_tiering_write_bytes_total',
];
const externalQueries = 'vllm:external_prefix_cache_queries_total';
const tierWrites = 'vllm:kv_offload_tiering_write_bytes_total';

const wanted = new Set([
  ...tierTraffic,
  running,
  waiting,
  finished,
  promptTokens,
  bySource,
  cachedBySource,
  cacheConfig,
  processStart,
  externalQueries,
]);

/** What a server's `/metrics` said at one moment. `null` is "no such series". Several ranks are added up. */
export interface ServerMetrics {
  readonly requestsInFlight: number | null;
  readonly requestsFinished: number | null;
  readonly promptTokens: number | null;
  /** Prompt tokens by `local_compute`, `local_cache_hit`, `external_kv_transfer`; null in old versions. */
  readonly bySource: ReadonlyMap<string, number> | null;
  /** Cached prompt tokens by the tier that held them; from vLLM 0.32. */
  readonly cachedBySource: ReadonlyMap<string, number> | null;
  /** Counters of {@link tierTraffic}, by name and the label that tells them apart. */
  readonly tierTraffic: ReadonlyMap<string, number>;
  /** Whether the server moves KV out of its device memory at all, as far as its metrics show. */
  readonly offloads: boolean;
  /** Bytes that the server wrote to tiers beyond its memory; null when it has none. */
  readonly tierBytesWritten: number | null;
  /** Tokens that the server looked for beyond the device, which only a KV connector does; null when the server does not count them. */
  readonly externalQueries: number | null;
  /** Whether LMCache runs inside the server: its own counters are among vLLM's then. */
  readonly hasLmcacheInside: boolean;
  /** Processes with a KV cache of their own (`--data-parallel-size`), as far as they count by themselves; 0 where nothing is counted. */
  readonly ranks: number;
  /** Every field of vLLM's cache configuration, as Python prints it. */
  readonly cacheConfig: Readonly<Record<string, string>> | null;
  readonly processStartSeconds: number | null;
  /** Whether any of it is vLLM's. */
  readonly isVllm: boolean;
}

export function readServerMetrics(text: string): ServerMetrics {
  const samples = parseSamples(text, wanted);
  const of = (name: string): readonly Sample[] => samples.get(name) ?? [];
  const names = [...samples.keys()];
  return {
    requestsInFlight: sum([...of(running), ...of(waiting)]),
    requestsFinished: sum(of(finished)),
    promptTokens: sum(of(promptTokens)),
    bySource: sumBySource(of(bySource)),
    cachedBySource: sumBySource(of(cachedBySource)),
    tierTraffic: sumByName(tierTraffic.flatMap(of)),
    offloads: names.some((name) => name.startsWith('vllm:kv_offload')),
    tierBytesWritten: sum(of(tierWrites)),
    externalQueries: sum(of(externalQueries)),
    hasLmcacheInside: /^lmcache:/m.test(text),
    ranks: new Set(of(running).map(({ labels }) => labels['engine'])).size,
    cacheConfig: of(cacheConfig)[0]?.labels ?? null,
    processStartSeconds: sum(of(processStart)),
    isVllm: names.some((name) => name.startsWith('vllm:')),
  };
}

const sum = (samples: readonly Sample[]): number | null =>
  samples.length === 0 ? null : samples.reduce((total, { value }) => total + value, 0);

function sumBySource(samples: readonly Sample[]): ReadonlyMap<string, number> | null {
  const totals = new Map<string, number>();
  for (const { labels, value } of samples) {
    const source = labels['source'] ?? '';
    totals.set(source, (totals.get(source) ?? 0) + value);
  }
  return totals.size === 0 ? null : totals;
}

function sumByName(samples: readonly Sample[]): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const { name, labels, value } of samples) {
    const distinguishing = ['tier', 'transfer_type'].filter((label) => labels[label] !== undefined);
    const suffix = distinguishing.map((label) => `{${label}="${labels[label]}"}`).join('');
    totals.set(name + suffix, (totals.get(name + suffix) ?? 0) + value);
  }
  return totals;
}
