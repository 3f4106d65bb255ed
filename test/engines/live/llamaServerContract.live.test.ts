import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LlamaServerEngine } from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import { engineContract, type EngineUnderTest } from '../contract/engineContract.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer, type LlamaServerStart } from './llamaServer.ts';

const interrupted = new AbortController().signal;

async function underTest(options: Partial<LlamaServerStart>, keepsSlots: boolean): Promise<EngineUnderTest> {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  const modelPath = await llamaModel({ signal: interrupted });
  const start = () => startLlamaServer({ modelPath, ...options, ...(keepsSlots ? { slotDir } : {}) }, interrupted);
  let server = await start();
  const engine = new LlamaServerEngine({
    spec: 'http://live',
    connect: async () => ({ url: server.url, ...(options.apiKey === undefined ? {} : { token: options.apiKey }) }),
    ...(keepsSlots ? { slotDir } : {}),
  });
  return {
    engine,
    restart: async () => {
      await server.kill();
      server = await start();
    },
    survivesRestart: keepsSlots,
    tellsReuse: true,
    givesCanary: true,
    blocksReachable: keepsSlots,
    heedsSalt: false,
    keepsContextsWhole: true,
    dispose: async () => {
      await engine.close();
      await server.stop();
      await rm(slotDir, { recursive: true, force: true });
    },
  };
}

engineContract('a real llama-server', () => underTest({}, true), 120_000);
engineContract(
  'a real llama-server with one slot and an API key',
  () => underTest({ slots: 1, apiKey: 'key' }, true),
  120_000,
);
engineContract('a real llama-server that saves no slots', () => underTest({}, false), 120_000);
