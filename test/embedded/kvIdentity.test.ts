import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { restartableEngine } from './support/restartableEngine.ts';
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
  onTestFinished(() => folder[Symbol.dispose]());
  const startWith = (path: string, now: readonly string[]) => () =>
    EngineProcess.start(join(folder.path, 'kv'), '--model', path, ...now);
  const { engine, restart } = await restartableEngine(startWith(model, flags));
  const core = await coreOver(engine);
  onTestFinished(() => core.dispose());
  expect((await core.keep()).verdict).toBe('proven');
  return { ...core, restart: (path: string, now: readonly string[]) => restart(startWith(path, now)) };
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
