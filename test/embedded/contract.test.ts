import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { engineContract, type EngineUnderTest } from '../engines/contract/engineContract.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { scratch, smallModel } from './support/smallModel.ts';

async function underTest(): Promise<EngineUnderTest> {
  const folder = scratch();
  const flags = ['--model', smallModel(folder.path), '--context', '2048'];
  let server = await EngineProcess.start(`${folder.path}/kv`, ...flags);
  const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
  return {
    engine,
    restart: async () => {
      await server.kill();
      server = await EngineProcess.start(server.kvDir, ...flags);
    },
    survivesRestart: true,
    tellsReuse: true,
    givesCanary: true,
    blocksReachable: true,
    storesTails: true,
    dispose: async () => {
      await engine.close();
      await server.kill();
      folder[Symbol.dispose]();
    },
  };
}

engineContract('the embedded engine', underTest);
