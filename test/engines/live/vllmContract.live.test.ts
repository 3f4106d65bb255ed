import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { engineContract, type EngineUnderTest } from '../contract/engineContract.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm, type VllmStart } from './vllmServer.ts';

const minutes = 60_000;

/** A real vLLM on a small model, restarted as `kill -9` would end it; without a tier not at all, since nothing could survive. */
async function liveVllm(start: Partial<VllmStart> & Pick<VllmStart, 'connector'>): Promise<EngineUnderTest> {
  const interrupted = new AbortController();
  const { signal } = interrupted;
  const folder = await mkdtemp(join(tmpdir(), 'cwm-live-contract-'));
  const rootDir = join(folder, 'kv');
  const model = await vllmModel('tiny', { signal });
  const launch = () => startVllm({ model, kvDir: rootDir, ...start }, signal);
  let server = await launch();
  const hasTier = start.connector === 'tiered';
  const engine = new VllmEngine({
    spec: server.url,
    connect: async () => ({ url: server.url }),
    apiKey: start.apiKey,
    blockFiles: hasTier ? { rootDir } : undefined,
  });
  return {
    engine,
    ...(hasTier && {
      restart: async () => {
        await server.kill();
        server = await launch();
      },
    }),
    survivesRestart: hasTier,
    tellsReuse: true,
    givesCanary: true,
    blocksReachable: hasTier,
    dispose: async () => {
      await engine.close();
      await server.stop();
      interrupted.abort();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

engineContract('a real vLLM with its file tier', () => liveVllm({ connector: 'tiered' }), 5 * minutes);
engineContract(
  'a real vLLM without a tier, with an API key and its default block hash',
  () => liveVllm({ connector: 'none', apiKey: 'secret-key', hashAlgorithm: 'sha256' }),
  5 * minutes,
);
