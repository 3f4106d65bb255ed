import type { EngineAdapter } from '../engineAdapter.ts';
import { VllmEngine } from './vllmEngine.ts';

/**
 * vLLM, and whatever else speaks the OpenAI API: the one to ask last. `#tier=DIR` names the `root_dir` of its file tier where this
 * machine reaches it, `#lmcache=URL` the coordinator of the LMCache that keeps its KV.
 */
export const vllmAdapter: EngineAdapter = {
  places: { tier: 'folder', lmcache: 'url' },
  recognises: async () => true,
  create: ({ spec, connect, places: { tier, lmcache } }) =>
    new VllmEngine({ spec, connect, lmcache, blockFiles: tier === undefined ? undefined : { rootDir: tier } }),
};
