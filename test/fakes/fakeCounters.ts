export type CacheSource = 'device' | 'disk';

/** The counters of vLLM that a client can read, as text in Prometheus' format. */
export class FakeCounters {
  readonly #values = new Map<string, number>();
  readonly #startSeconds: number;

  constructor(startSeconds: number) {
    this.#startSeconds = startSeconds;
    // They are all there, with 0, before the first request (vllm/v1/metrics/loggers.py).
    this.#count(0, 0, { device: 0, disk: 0 }, 0);
  }

  add(series: string, value: number): void {
    this.#values.set(series, (this.#values.get(series) ?? 0) + value);
  }

  /** One finished request. */
  request(promptTokens: number, cached: Readonly<Record<CacheSource, number>>, outputTokens: number): void {
    this.#count(1, promptTokens, cached, outputTokens);
  }

  #count(
    requests: number,
    promptTokens: number,
    cached: Readonly<Record<CacheSource, number>>,
    outputTokens: number,
  ): void {
    const hits = cached.device + cached.disk;
    this.add('vllm:request_success_total{engine="0",finished_reason="length"}', requests);
    this.add('vllm:prompt_tokens_total{engine="0"}', promptTokens);
    this.add('vllm:generation_tokens_total{engine="0"}', outputTokens);
    this.add('vllm:prompt_tokens_by_source_total{engine="0",source="local_compute"}', promptTokens - hits);
    this.add('vllm:prompt_tokens_by_source_total{engine="0",source="local_cache_hit"}', cached.device);
    this.add('vllm:prompt_tokens_by_source_total{engine="0",source="external_kv_transfer"}', cached.disk);
    for (const source of ['device', 'disk'] as const)
      this.add(`vllm:prompt_tokens_cached_by_source_total{engine="0",source="${source}"}`, cached[source]);
    this.add('vllm:prefix_cache_queries_total{engine="0"}', promptTokens);
    this.add('vllm:prefix_cache_hits_total{engine="0"}', cached.device);
    this.lookUp(0);
  }

  /** Tokens were looked for beyond the device. */
  lookUp(tokens: number): void {
    this.add('vllm:external_prefix_cache_queries_total{engine="0"}', tokens);
  }

  /** The traffic between memories is there from the start, the series of each tier with its first use. */
  tierLines(writtenBytes: number, readBytes: number): string[] {
    const lines = (memory: string, tier: string, value: number): string[] =>
      value === 0
        ? []
        : [
            `vllm:kv_offload_${memory}_bytes_total{engine="0"} ${value.toFixed(1)}`,
            `vllm:kv_offload_tiering_${tier}_bytes_total{engine="0",tier="1:fs"} ${value.toFixed(1)}`,
          ];
    return [
      `vllm:kv_offload_total_bytes_total{engine="0",transfer_type="GPU_to_CPU"} ${writtenBytes.toFixed(1)}`,
      `vllm:kv_offload_total_bytes_total{engine="0",transfer_type="CPU_to_GPU"} ${readBytes.toFixed(1)}`,
      ...lines('store', 'write', writtenBytes),
      ...lines('load', 'read', readBytes),
    ];
  }

  text(
    inFlight: number,
    cacheConfig: Readonly<Record<string, string>>,
    { counts, namesTiers, ranks }: { readonly counts: boolean; readonly namesTiers: boolean; readonly ranks: number },
  ): string {
    const labels = Object.entries(cacheConfig).map(([key, value]) => `${key}="${value}"`);
    const lines = [
      '# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.',
      '# TYPE process_start_time_seconds gauge',
      `process_start_time_seconds ${this.#startSeconds.toExponential(9)}`,
      `vllm:cache_config_info{${labels.join(',')}} 1.0`,
      `vllm:num_requests_running{engine="0"} ${inFlight}.0`,
      ...Array.from({ length: ranks - 1 }, (_, rank) => `vllm:num_requests_running{engine="${rank + 1}"} 0.0`),
      'vllm:num_requests_waiting{engine="0"} 0.0',
      'vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001"} 0.0',
      'vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf"} 0.0',
    ];
    for (const [series, value] of counts ? this.#values : []) {
      if (namesTiers || !series.includes('cached_by_source')) lines.push(`${series} ${value.toFixed(1)}`);
    }
    return `${lines.join('\n')}\n`;
  }
}
