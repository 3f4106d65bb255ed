import type { EngineAdapter } from '../engineAdapter.ts';
import { VllmEngine } from './vllmEngine.ts';

/** vLLM, and whatever else speaks the OpenAI API: the one to ask last. */
export const vllmAdapter: EngineAdapter = {
  folders: [],
  recognises: async () => true,
  create: ({ spec, connect }) => new VllmEngine({ spec, connect }),
};
