import type { EngineAdapter } from '../engineAdapter.ts';
import { LlamaServerEngine } from './llamaServerEngine.ts';
import { isLlamaServer } from './serverIdentity.ts';

/** llama-server; `#slots=DIR` names its `--slot-save-path` where this machine reaches it. */
export const llamaServerAdapter: EngineAdapter = {
  places: { slots: 'folder', model: 'name' },
  recognises: isLlamaServer,
  create: ({ spec, connect, places }) => new LlamaServerEngine({ spec, connect, slotDir: places['slots'] }),
};
