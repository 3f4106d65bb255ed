import type { ServerMetrics } from './metrics/serverMetrics.ts';
import { isAtLeast } from './versionNumber.ts';

/**
 * Notices for the user of a vLLM of this version and configuration. A version that cannot be read counts as a current one.
 *
 * @param metrics null when the server shows none.
 */
export function vllmNotices(
  version: string,
  metrics: Pick<ServerMetrics, 'cacheConfig' | 'offloads' | 'hasLmcacheInside'> | null,
): string[] {
  const older = (minor: number): boolean => isAtLeast(version, 0, minor) === false;
  const cacheConfig = metrics?.cacheConfig ?? null;
  const notices: string[] = [];
  if (cacheConfig === null) {
    notices.push('The server shows no /metrics of vLLM: block size, tiers and idleness stay unknown.');
  } else if (cacheConfig['enable_prefix_caching'] === 'False') {
    notices.push('Prefix caching is off, so nothing can be reused: start vLLM with --enable-prefix-caching.');
  }
  if (cacheConfig?.['prefix_caching_hash_algo']?.startsWith('xxhash') === true) {
    notices.push(
      'Block hashes are made with xxhash, whose seed is new in each process: nothing survives a restart. Start vLLM with --prefix-caching-hash-algo sha256_cbor.',
    );
  }
  if (metrics?.hasLmcacheInside === true) {
    notices.push(
      'LMCache runs inside this vLLM: it ignores the cache salt (LMCache#2878), so isolation is not promised, and what it keeps on a local disk is lost with a restart. Its server mode (LMCacheMPConnector) has neither flaw.',
    );
  }
  if (metrics?.offloads === true && isHybrid(cacheConfig)) {
    notices.push(
      'This model has recurrent layers, whose KV vLLM has stored in its tiers without ever loading it: only the receipt of a thaw after a restart shows whether it does.',
    );
  }
  if (older(23))
    notices.push('vLLM before 0.23 may not report cached tokens, even with --enable-prompt-tokens-details.');
  if (older(26)) notices.push('vLLM before 0.26 can hang when block files are deleted while it runs (vllm#49176).');
  if (older(28)) {
    notices.push(
      'vLLM before 0.28 hashes blocks with a new random seed in each process: set PYTHONHASHSEED to keep KV over a restart.',
    );
  }
  if (older(31))
    notices.push('vLLM 0.31 names salted blocks differently: after that update, windows have to be frozen again.');
  return notices;
}

const isHybrid = (cacheConfig: Readonly<Record<string, string>> | null): boolean =>
  !['None', undefined].includes(cacheConfig?.['mamba_block_size']);
