import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { writeOddModel } from './support/oddModel.ts';
import { scratch, smallModel } from './support/smallModel.ts';

/** A model whose position encoding depends on the context length that it is loaded with. */
const scaledModel = (folder: string): string =>
  writeOddModel(join(folder, 'scaled.gguf'), 'lfm2', {
    metadata: {
      'lfm2.rope.scaling.type': { type: 'string', value: 'yarn' },
      'lfm2.rope.scaling.factor': { type: 'f32', value: 2 },
      'lfm2.rope.scaling.original_context_length': { type: 'u32', value: 2048 },
    },
  });
const otherFrequency = (folder: string): string =>
  writeOddModel(join(folder, 'scaled.gguf'), 'lfm2', {
    metadata: { 'lfm2.rope.freq_base': { type: 'f32', value: 20_000 } },
  });

const context = (tokens: number): string[] => ['--context', String(tokens)];
const changes = {
  'the type of its KV': { model: smallModel, before: context(4096), after: [...context(4096), '--kv-type', 'q8_0'] },
  'the context length of scaled positions': { model: scaledModel, before: context(4096), after: context(2048) },
} as const;

async function frozenOn(model: string, flags: readonly string[], folder: ReturnType<typeof scratch>) {
  const kvDir = join(folder.path, 'kv');
  const state = { server: await EngineProcess.start(kvDir, '--model', model, ...flags) };
  const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: state.server.url }) });
  const core = await coreOver(engine);
  onTestFinished(async () => {
    await core.dispose();
    await engine.close();
    await state.server.kill();
    folder[Symbol.dispose]();
  });
  expect((await core.keep()).verdict).toBe('proven');
  const restart = async (path: string, now: readonly string[]): Promise<void> => {
    await state.server.kill();
    state.server = await EngineProcess.start(kvDir, '--model', path, ...now);
  };
  return { ...core, restart };
}

describe('KV that was made under other settings is never reused', () => {
  test.each(Object.entries(changes))('%s', async (_, { model, before, after }) => {
    const folder = scratch();
    const path = model(folder.path);
    const rig = await frozenOn(path, before, folder);
    await rig.restart(path, after);
    const thawed = await rig.thaw();
    expect(thawed).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
    // What was computed now is what the next message continues from.
    expect((await rig.answer(thawed.session)).cachedTokens).toBeGreaterThan(0);
  });

  test('other frequencies in the model file: it is another model', async () => {
    const folder = scratch();
    const rig = await frozenOn(scaledModel(folder.path), context(2048), folder);
    await rig.restart(otherFrequency(folder.path), context(2048));
    expect((await rig.thaw()).verdict).toBe('mismatch');
  });
});
