import type { EngineAdapter } from '../../engines/engineAdapter.ts';
import { llamaServerAdapter } from '../../engines/llamaServer/llamaServerAdapter.ts';
import { vllmAdapter } from '../../engines/vllm/vllmAdapter.ts';

/** Every kind of model server that a URL may lead to, in the order in which they are asked. The last takes what is left. */
export const engineAdapters: readonly EngineAdapter[] = [llamaServerAdapter, vllmAdapter];
