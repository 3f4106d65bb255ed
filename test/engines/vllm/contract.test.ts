import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { engineContract, type EngineUnderTest } from '../contract/engineContract.ts';
import { FakeVllm, type FakeVllmOptions } from '../../fakes/fakeVllm.ts';

/** A fake with a file tier of its own unless `rootDir` is null. */
async function underTest(options: FakeVllmOptions, withTier: boolean): Promise<EngineUnderTest> {
  const rootDir = withTier ? await mkdtemp(join(tmpdir(), 'cwm-tier-')) : null;
  const fake = await FakeVllm.start({
    ...options,
    ...(rootDir === null ? {} : { tier: { rootDir, ...options.tier } }),
  });
  const engine = new VllmEngine({
    spec: fake.url,
    connect: async () => ({ url: fake.url }),
    ...(rootDir === null ? {} : { blockFiles: { rootDir } }),
    persistPatienceMs: 2_000,
  });
  return {
    engine,
    restart: () => fake.restart(),
    survivesRestart: withTier,
    tellsReuse: true,
    givesCanary: options.faults?.givesLogprobs ?? true,
    blocksReachable: withTier,
    dispose: async () => {
      await engine.close();
      await fake.stop();
      if (rootDir !== null) await rm(rootDir, { recursive: true, force: true });
    },
  };
}

engineContract('vLLM 0.32 with a file tier', () => underTest({}, true));
engineContract('vLLM 0.32 without a tier', () => underTest({}, false));
engineContract('vLLM 0.30 with the default hash and small blocks', () =>
  underTest({ version: '0.30.0', hashAlgorithm: 'sha256', blockTokens: 8 }, true),
);
engineContract('an engine that gives no log-probabilities', () =>
  underTest({ faults: { givesLogprobs: false } }, false),
);
