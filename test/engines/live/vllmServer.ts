import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { engineRecipes } from './engineRecipe.ts';
import { freePort, startGuarded, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';
import type { VllmModel } from './vllmModel.ts';

/**
 * Where vLLM keeps KV blocks besides its device memory:
 *
 * - `tiered`: vLLM's own offload to host memory and files below `kvDir`;
 * - `lmcache`: LMCache's server, which listens at `lmcachePort`;
 * - `example`: vLLM's ExampleConnector, which keeps whole prompts below `kvDir` and ignores the salt;
 * - `none`: nowhere, so a restart loses all.
 */
export type VllmConnector = 'tiered' | 'lmcache' | 'example' | 'none';

export interface VllmStart {
  readonly model: VllmModel;
  readonly connector: VllmConnector;
  /** Where `tiered` and `example` keep their files. Two servers may share it. */
  readonly kvDir?: string;
  /** For `lmcache`. */
  readonly lmcachePort?: number;
  /** Default: a free one. */
  readonly port?: number;
  /** Tokens in a KV block: on a CPU a multiple of 32. Default 32. */
  readonly blockTokens?: number;
  /** Device memory for KV blocks. Default 1. */
  readonly kvCacheGiB?: number;
  /** Exact number of blocks in device memory, instead of what `kvCacheGiB` holds: for a cache that is too small. */
  readonly deviceBlocks?: number;
  /** Host memory between device and files. Default 256 MiB. */
  readonly hostTierBytes?: number;
  /** Whether answers say how many prompt tokens came from a cache. Default true. */
  readonly promptTokensDetails?: boolean;
  /** Whether it counts at all; without, `/metrics` tells nothing of vLLM. Default true. */
  readonly logStats?: boolean;
  /** Adds the unprotected endpoints for developers. Default false. */
  readonly devMode?: boolean;
  /** Adds timing of the server's own to each answer. Default false. */
  readonly perRequestMetrics?: boolean;
  /** The model id in requests. Default: the model's name. */
  readonly servedName?: string;
  /** Longest context in tokens. Default 8,192. */
  readonly maxModelLen?: number;
  /** How block hashes are made. Default `sha256_cbor`; vLLM's own default is `sha256`. */
  readonly hashAlgorithm?: 'sha256_cbor' | 'sha256';
  readonly apiKey?: string;
  /** Threads that compute. Default: one for each core; on a busy machine they wait for each other. */
  readonly threads?: number;
  /** Where it publishes events about its KV blocks, as `ipc:///PATH`: nothing else on the machine may read them. Default: nowhere. */
  readonly eventsEndpoint?: string;
  /** File with a Jinja template that lists tools in Hermes' form; the server then tells calls apart. Default: the tokenizer's own, and no tools. */
  readonly toolTemplate?: string;
}

const defaultHostTierBytes = 256 * 2 ** 20;
const readyWithinMs = 300_000;

/**
 * Starts a real vLLM on the loopback address and waits until it is ready, which takes about half a minute.
 *
 * @throws an Error that says what to do when vLLM is not installed, or that ends with the server's log when it does not start.
 */
export async function startVllm(start: VllmStart, signal: AbortSignal): Promise<ModelServer> {
  const name = start.connector === 'lmcache' ? 'lmcache' : 'vllm';
  const python = installedPython(engineRecipes[name]);
  if (!python) throw new Error(`${name} is not installed. Run: npm run engines:install ${name}`);
  const port = start.port ?? (await freePort());
  // The server names its shared memory by this id, so that what it leaves behind can be told from other servers'.
  const engineId = `cwm-${randomUUID()}`;
  const { model, kvCacheGiB = 1, devMode = false, apiKey } = start;
  return startGuarded({
    name: 'vllm',
    url: `http://127.0.0.1:${port}`,
    command: python,
    args: ['-m', 'vllm.entrypoints.openai.api_server', ...serverArguments(start, port, engineId)],
    // vLLM names the folder of its files by the model's path as given, so the path is relative: see VllmModel.
    cwd: model.parentFolder,
    env: {
      ...process.env,
      // Left out of the environment: one of the surroundings would become the seed of vLLM's block hashes.
      PYTHONHASHSEED: undefined,
      PYTHONPATH: join(import.meta.dirname, 'python'),
      HF_HUB_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      DO_NOT_TRACK: '1',
      VLLM_CPU_KVCACHE_SPACE: String(kvCacheGiB),
      // Its structural tags allow white space between the parts of a call, and a model of random weights writes it for ever; the schemas of
      // calls that must come do not.
      ...(start.toolTemplate !== undefined && { VLLM_ENFORCE_STRICT_TOOL_CALLING: '0' }),
      ...(start.threads !== undefined && {
        VLLM_CPU_OMP_THREADS_BIND: 'nobind',
        OMP_NUM_THREADS: String(start.threads),
      }),
      VLLM_SERVER_DEV_MODE: devMode ? '1' : '0',
      ...(apiKey !== undefined && { VLLM_API_KEY: apiKey }),
    },
    leftovers: [`/dev/shm/vllm_offload_${engineId}*`],
    readyWithinMs,
    signal,
  });
}

function serverArguments(start: VllmStart, port: number, engineId: string): string[] {
  const { model, servedName = model.name, maxModelLen = 8192, blockTokens = 32, hashAlgorithm = 'sha256_cbor' } = start;
  const { promptTokensDetails = true, logStats = true, perRequestMetrics = false } = start;
  const transfer = transferConfig(start, engineId);
  const flags: Readonly<Record<string, string | number | boolean | undefined>> = {
    '--model': model.name,
    '--served-model-name': servedName,
    '--host': '127.0.0.1',
    '--port': port,
    '--max-model-len': maxModelLen,
    '--max-num-seqs': 4,
    '--enforce-eager': true,
    '--block-size': blockTokens,
    '--num-gpu-blocks-override': start.deviceBlocks,
    '--enable-prefix-caching': true,
    '--prefix-caching-hash-algo': hashAlgorithm,
    '--enable-prompt-tokens-details': promptTokensDetails,
    '--disable-log-stats': !logStats,
    '--enable-per-request-metrics': perRequestMetrics,
    '--chat-template': start.toolTemplate,
    '--enable-auto-tool-choice': start.toolTemplate !== undefined,
    '--tool-call-parser': start.toolTemplate && 'hermes',
    '--structured-outputs-config':
      start.toolTemplate && JSON.stringify({ backend: 'guidance', disable_any_whitespace: true }),
    '--kv-transfer-config': transfer && JSON.stringify(transfer),
    '--kv-events-config': start.eventsEndpoint && JSON.stringify(eventsConfig(start.eventsEndpoint)),
  };
  return Object.entries(flags).flatMap(([flag, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [flag] : [flag, String(value)];
  });
}

const eventsConfig = (endpoint: string): object => ({ enable_kv_cache_events: true, publisher: 'zmq', endpoint });

function transferConfig(
  { connector, kvDir, lmcachePort, hostTierBytes = defaultHostTierBytes }: VllmStart,
  engineId: string,
): object | undefined {
  if (connector === 'none') return undefined;
  const common = { kv_role: 'kv_both', engine_id: engineId };
  if (connector === 'lmcache') {
    if (lmcachePort === undefined) throw new Error('The lmcache connector needs an lmcachePort.');
    const extra = { 'lmcache.mp.host': 'tcp://127.0.0.1', 'lmcache.mp.port': lmcachePort };
    return { ...common, kv_connector: 'LMCacheMPConnector', kv_connector_extra_config: extra };
  }
  if (kvDir === undefined) throw new Error(`The ${connector} connector needs a kvDir.`);
  if (connector === 'example') {
    return { ...common, kv_connector: 'ExampleConnector', kv_connector_extra_config: { shared_storage_path: kvDir } };
  }
  return {
    ...common,
    kv_connector: 'OffloadingConnector',
    kv_connector_extra_config: {
      spec_name: 'HostTieringSpec',
      spec_module_path: 'host_tiering',
      cpu_bytes_to_use: hostTierBytes,
      secondary_tiers: [{ type: 'fs', root_dir: kvDir }],
    },
  };
}
