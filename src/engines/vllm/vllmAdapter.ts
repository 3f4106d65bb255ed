import type { EngineAdapter } from '../engineAdapter.ts';
import { VllmEngine } from './vllmEngine.ts';

/**
 * vLLM, and whatever else speaks the OpenAI API: the one to ask last. `#tier=DIR` names the `root_dir` of its file tier where this
 * machine reaches it.
 */
export const vllmAdapter: EngineAdapter = {
  folders: ['tier'],
  recognises: async () => true,
  create: ({ spec, connect, folders: { tier } }) =>
    new VllmEngine({ spec, connect, blockFiles: tier === undefined ? undefined : { rootDir: tier } }),
};
