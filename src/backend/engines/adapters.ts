import { isAbsolute } from 'node:path';
import type { EngineAdapter } from '../../engines/engineAdapter.ts';
import { llamaServerAdapter } from '../../engines/llamaServer/llamaServerAdapter.ts';
import { vllmAdapter } from '../../engines/vllm/vllmAdapter.ts';
import type { EngineSpecRules } from '../../protocol/engineSpec.ts';

/** Every kind of model server that a URL may lead to, in the order in which they are tried. The last one accepts any server. */
export const engineAdapters: readonly EngineAdapter[] = [llamaServerAdapter, vllmAdapter];

export const engineSpecRules: EngineSpecRules = {
  places: new Map(engineAdapters.flatMap(({ places }) => Object.entries(places))),
  isAbsolute,
};
