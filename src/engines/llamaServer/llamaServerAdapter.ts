import type { EngineAdapter } from '../engineAdapter.ts';
import { LlamaServerEngine } from './llamaServerEngine.ts';
import { isLlamaServer } from './serverIdentity.ts';

/** llama-server; `#slots=DIR` names its `--slot-save-path` where this machine reaches it. */
export const llamaServerAdapter: EngineAdapter = {
  folders: ['slots'],
  recognises: isLlamaServer,
  create: ({ spec, connect, folders }) => new LlamaServerEngine({ spec, connect, slotDir: folders['slots'] }),
};
