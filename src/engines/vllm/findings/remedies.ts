import type { EngineKind } from '../../../core/ports/engine.ts';
import type { ReuseRemedies } from '../../probe/judgeReuse.ts';

/** The user's remedy on the server; empty where there is none. */
export interface Remedies extends ReuseRemedies {
  readonly tokenIds: string;
  readonly canary: string;
  readonly insight: string;
  readonly persistence: string;
  readonly blockFiles: string;
}

const vllm: Remedies = {
  reuse: 'Start vLLM with --enable-prefix-caching.',
  told: 'Start vLLM with --enable-prompt-tokens-details.',
  isolation:
    'In --kv-transfer-config, name a connector that heeds the salt: OffloadingConnector, or LMCacheMPConnector instead of LMCacheConnectorV1.',
  canary: 'Start vLLM without --max-logprobs, or with 5 and more.',
  tokenIds: 'Update vLLM, or connect to it directly: it knows return_token_ids.',
  insight: 'Let /metrics through to here, and start vLLM without --disable-log-stats.',
  persistence:
    'Start vLLM with --kv-transfer-config \'{"kv_connector":"OffloadingConnector","kv_role":"kv_both","kv_connector_extra_config":{"spec_name":"TieringOffloadingSpec","cpu_bytes_to_use":BYTES,"secondary_tiers":[{"type":"fs","root_dir":"DIR"}]}}\' and without PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True, which it refuses then.',
  blockFiles: "If the root_dir of vLLM's file tier is on this machine, add #tier=DIR to the engine's URL.",
};

const none: Remedies = {
  reuse: '',
  told: '',
  isolation: '',
  tokenIds: '',
  canary: '',
  insight: '',
  persistence: '',
  blockFiles: '',
};

const otherServer = 'Ask for it at the server, or serve the model with vLLM.';

export function remediesOf(kind: EngineKind): Remedies {
  if (kind === 'vllm') return vllm;
  return kind === 'openai' ? { ...none, told: otherServer, isolation: otherServer, reuse: otherServer } : none;
}
