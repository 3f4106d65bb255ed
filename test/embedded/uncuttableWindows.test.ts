import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SpaceLimits } from '../../src/core/space/limits.ts';
import { isSampled } from '../support/nightly.ts';
import { coreInStorage, kvDirOf } from './support/coreInStorage.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { writeOddModel, type OddArchitecture } from './support/oddModel.ts';
import { restartableEngine } from './support/restartableEngine.ts';
import { scratch } from './support/smallModel.ts';

const never = new AbortController().signal;
const text = (seed: string): string =>
  Array.from({ length: 40 }, (_, at) => `${seed} line ${at}: ${at * 7919}`).join('\n');

/** The core over a real store and the embedded engine with a small model of this kind. */
async function product(architecture: OddArchitecture, limits: Partial<SpaceLimits> = {}) {
  const folder = scratch();
  const model = writeOddModel(join(folder.path, 'odd.gguf'), architecture);
  const storage = join(folder.path, 'storage');
  const kvDir = kvDirOf(storage);
  onTestFinished(() => folder[Symbol.dispose]());
  const { engine, restart } = await restartableEngine(() =>
    EngineProcess.start(kvDir, '--model', model, '--context', '4096'),
  );
  const cwm = await coreInStorage(storage, engine, limits);
  const kvFiles = (ending: string): string[] =>
    readdirSync(kvDir, { recursive: true, encoding: 'utf8' })
      .filter((name) => /[0-9a-f]{64}\.(kv|state)$/.test(name) && name.endsWith(ending))
      .map((name) => join(kvDir, name));
  return {
    cwm,
    kvFiles,
    kvBytes: () => [...kvFiles('.kv'), ...kvFiles('.state')].reduce((sum, path) => sum + statSync(path).size, 0),
    freeze: async (name: string) => {
      await cwm.createSession({ id: name });
      await cwm.send({ session: name, text: text(name), maxTokens: 12 }, never);
      return cwm.freeze({ session: name, window: name }, never);
    },
    restart,
  };
}

/** A budget for the KV of one of these windows, and not of two, in bytes. */
const roomForOne: Record<OddArchitecture, number> = { gemma3: 230_000, mamba: 60_000, lfm2: 280_000 };

const architectures: readonly OddArchitecture[] = ['gemma3', 'mamba', 'lfm2'];

describe.each(architectures)('windows of %s', (architecture) => {
  /** One way for each architecture, and each way with one at least. */
  const walked = (way: number) => test.runIf(isSampled(architectures.indexOf(architecture) + way, 3));

  walked(0)('are proven after kill -9, and their KV counts rows and states', async () => {
    const { cwm, freeze, restart, kvFiles, kvBytes } = await product(architecture);
    const frozen = await freeze('w');
    expect(kvFiles('.kv').length > 0).toBe(architecture !== 'mamba');
    expect(kvFiles('.state').length).toBeGreaterThan(0);
    expect(frozen.verdict).toBe('proven');
    expect(frozen.kvBytes).toBe(kvBytes());
    const notes = frozen.notes.join(' ');
    expect(notes).not.toContain('the rest lasts only as long');
    // A recurrent model has states alone, so that nothing beside blocks has to be explained.
    expect(notes.includes('of whole states beside')).toBe(architecture !== 'mamba');
    await restart();
    const thawed = await cwm.thaw({ window: 'w', session: 't' }, never);
    expect(thawed).toMatchObject({ verdict: 'proven', tier: 'disk', kvBytes: frozen.kvBytes });
    const usage = await cwm.usage({}, never);
    expect(usage.kv).toMatchObject({ bytes: kvBytes(), windowBytes: kvBytes(), looseBytes: 0 });
    expect(usage.items).toMatchObject([{ kv: { bytes: kvBytes(), missingBlocks: 0 } }]);
  });

  walked(1)('with a damaged state are never proven, and the thaw after that is', async () => {
    const { cwm, freeze, restart, kvFiles } = await product(architecture);
    const frozen = await freeze('w');
    await restart();
    for (const path of kvFiles('.state')) truncateSync(path, statSync(path).size - 1);
    const thawed = await cwm.thaw({ window: 'w', session: 't' }, never);
    expect(thawed.verdict).toBe('rebuilt');
    expect(thawed.cachedTokens).toBe(0);
    await restart();
    const again = await cwm.thaw({ window: 'w', session: 'u' }, never);
    expect(again.verdict).toBe('proven');
    expect(again.kvBytes).toBe(frozen.kvBytes);
  });

  walked(2)('whose KV is pinned keep all of it when the budget evicts; the others lose rows and states', async () => {
    const kvBudgetBytes = roomForOne[architecture];
    const { cwm, freeze, restart, kvBytes } = await product(architecture, { kvBudgetBytes });
    expect((await freeze('pinned')).kvBytes).toBeLessThan(kvBudgetBytes);
    await cwm.pinWindow({ window: 'pinned', pinned: true });
    await freeze('other');
    await expect.poll(async () => kvBytes(), { timeout: 60_000 }).toBeLessThanOrEqual(kvBudgetBytes);
    await restart();
    // The first thaw makes the engine write nothing new, so that nothing more is evicted.
    expect((await cwm.thaw({ window: 'pinned', session: 'p' }, never)).verdict).toBe('proven');
    expect((await cwm.thaw({ window: 'other', session: 'o' }, never)).verdict).toBe('rebuilt');
  });

  walked(3)('take their states with them when they are deleted', async () => {
    const { cwm, freeze, kvBytes } = await product(architecture);
    const frozen = await freeze('w');
    const deleted = await cwm.deleteWindow({ window: 'w' }, never);
    expect(deleted.bytesFreed).toBe(frozen.kvBytes);
    expect(kvBytes()).toBe(0);
  });
});
