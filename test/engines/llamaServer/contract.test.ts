import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LlamaServerEngine } from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import { engineContract, type EngineUnderTest } from '../contract/engineContract.ts';
import { FakeLlamaServer, type FakeLlamaOptions } from '../../fakes/fakeLlamaServer.ts';

type Folder = 'reachable' | 'out of sight' | 'none';

async function underTest(folder: Folder, options: FakeLlamaOptions = {}): Promise<EngineUnderTest> {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-slots-'));
  const fake = await FakeLlamaServer.start({ ...options, ...(folder === 'none' ? {} : { slotDir }) });
  const engine = new LlamaServerEngine({
    spec: fake.url,
    connect: async () => ({ url: fake.url }),
    ...(folder === 'reachable' ? { slotDir } : {}),
  });
  return {
    engine,
    restart: () => fake.restart(),
    survivesRestart: folder !== 'none',
    tellsReuse: true,
    givesCanary: options.faults?.givesLogprobs ?? true,
    blocksReachable: folder === 'reachable',
    heedsSalt: false,
    keepsContextsWhole: true,
    dispose: async () => {
      await engine.close();
      await fake.stop();
      await rm(slotDir, { recursive: true, force: true });
    },
  };
}

engineContract('llama-server whose slot folder is reachable', () => underTest('reachable'));
engineContract('llama-server whose slot folder is out of sight', () => underTest('out of sight'));
engineContract('llama-server that saves no slots', () => underTest('none'));
engineContract('llama-server with one slot that it does not show', () =>
  underTest('reachable', { slots: 1, faults: { hidesSlots: true, givesLogprobs: false } }),
);
