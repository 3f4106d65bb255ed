import { optionIn } from '../commandLine.ts';
import type { EngineAdapter } from '../engineAdapter.ts';
import { kvOptionsIn, kvVariables } from './kvOptions.ts';
import { LlamaServerEngine } from './llamaServerEngine.ts';
import { isLlamaServer } from './serverIdentity.ts';

/** llama-server; `#slots=DIR` names its `--slot-save-path` where this machine reaches it. */
export const llamaServerAdapter: EngineAdapter = {
  places: { slots: 'folder', model: 'name' },
  foldersIn(args): Record<string, string> {
    const slots = optionIn(args, '--slot-save-path');
    return slots === null ? {} : { slots };
  },
  triesFolders: true,
  kvOptionsIn,
  kvVariables,
  recognises: isLlamaServer,
  describesOnlyItself: true,
  create: ({ spec, connect, sleep, places, foundIn, kvOptions }) =>
    new LlamaServerEngine({
      spec,
      connect,
      sleep,
      slotDir: places['slots'],
      slotDirFoundIn: foundIn?.['slots'],
      kvOptions,
    }),
};
