import type { BlockCounters } from '../kv/files/blockFolder.ts';
import type { EngineCounters } from '../engineCounters.ts';
import type { EngineModel } from '../engineModel.ts';
import { hashProfile } from '../kv/files/kvNamespace.ts';

export interface MetricsInput {
  readonly model: EngineModel;
  readonly counters: EngineCounters;
  readonly blocks: BlockCounters | null;
  readonly workerRestarts: number;
}

/** The counters in Prometheus' text format, under vLLM's names where vLLM has them. */
export function metricsPage({ model, counters, blocks, workerRestarts }: MetricsInput): string {
  const { computed, device, disk } = counters.promptTokens;
  const labels = { engine: '0', model_name: model.id };
  const rows: string[] = [];
  const family = (type: 'counter' | 'gauge', name: string, samples: readonly (readonly [object, number])[]): void => {
    rows.push(`# TYPE ${name} ${type}`);
    for (const [more, value] of samples) rows.push(`${name}{${renderLabels({ ...labels, ...more })}} ${value}`);
  };
  family('gauge', 'vllm:cache_config_info', [
    [
      {
        block_size: model.blockTokens,
        cache_dtype: 'auto',
        enable_prefix_caching: 'True',
        num_gpu_blocks: Math.floor(model.info.contextTokens / model.blockTokens),
        prefix_caching_hash_algo: hashProfile.algorithm,
      },
      1,
    ],
  ]);
  family('gauge', 'vllm:num_requests_running', [[{}, counters.running]]);
  family('gauge', 'vllm:num_requests_waiting', [[{}, counters.waiting]]);
  family('counter', 'vllm:prompt_tokens_total', [[{}, computed + device + disk]]);
  family('counter', 'vllm:generation_tokens_total', [[{}, counters.generatedTokens]]);
  family('counter', 'vllm:prompt_tokens_cached_total', [[{}, device + disk]]);
  family('counter', 'vllm:prompt_tokens_by_source_total', [
    [{ source: 'local_compute' }, computed],
    [{ source: 'local_cache_hit' }, device],
    [{ source: 'external_kv_transfer' }, disk],
  ]);
  family('counter', 'vllm:prompt_tokens_cached_by_source_total', [
    [{ source: 'device' }, device],
    [{ source: 'disk' }, disk],
  ]);
  family(
    'counter',
    'vllm:request_success_total',
    Object.entries(counters.finishedRequests).map(([reason, count]) => [{ finished_reason: reason }, count] as const),
  );
  family('counter', 'cwm:llama_restarts_total', [[{}, workerRestarts]]);
  for (const [name, count] of Object.entries(blocks ?? {})) {
    family('counter', `cwm:kv_blocks_${snakeCase(name)}_total`, [[{}, Number(count)]]);
  }
  rows.push('# TYPE process_start_time_seconds gauge');
  rows.push(`process_start_time_seconds ${model.startedAt.getTime() / 1000}`);
  return `${rows.join('\n')}\n`;
}

const renderLabels = (labels: object): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escape(String(value))}"`)
    .join(',');

const escape = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
