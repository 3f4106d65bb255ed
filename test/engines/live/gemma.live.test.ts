import { mkdtemp, open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { EngineProcess } from '../../embedded/support/engineProcess.ts';
import { coreOver, type CoreOver } from '../llamaServer/coreOver.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';

/** Text that means something, longer than the model's window of 512 tokens. */
const text = (await readFile(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8')).slice(0, 3200);
const flags = ['--model', gemmaModel(), '--context', '4096'];
const never = new AbortController().signal;

/** The embedded engine on Gemma 3 270M: a real model whose sliding window cannot be cut. */
describe('the embedded engine on a real model with a sliding window', () => {
  let folder: string;
  let server: EngineProcess;
  let engine: VllmEngine;
  let core: CoreOver;
  let answer: string;

  const restart = async (): Promise<void> => {
    await server.kill();
    server = await EngineProcess.start(server.kvDir, ...flags);
  };
  /** Every file of KV whose name ends so, the largest first. */
  const kvFiles = async (ending: string): Promise<string[]> => {
    const names = (await readdir(server.kvDir, { recursive: true })).filter((name) => name.endsWith(ending));
    const files = await Promise.all(
      names.map(async (name) => ({
        path: join(server.kvDir, name),
        size: (await stat(join(server.kvDir, name))).size,
      })),
    );
    return files.sort((a, b) => b.size - a.size || a.path.localeCompare(b.path)).map(({ path }) => path);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cwm-gemma-'));
    server = await EngineProcess.start(join(folder, 'kv'), ...flags);
    engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }), persistPatienceMs: 0 });
    core = await coreOver(engine);
  });
  afterAll(async () => {
    await core.dispose();
    await engine.close();
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  });

  test('has no chat template of its own, and says which one it uses', async () => {
    const { notices, model, version } = await engine.describe(never);
    expect(notices.join(' ')).toContain('built-in template "gemma"');
    expect(model.id).toBe('gemma-3-270m-q4_k_m');
    expect(version).toContain('CPU');
  });

  test('reuses a conversation from turn to turn', async () => {
    await core.cwm.createSession({ id: 'talk' });
    const send = (words: string) => core.cwm.send({ session: 'talk', text: words, maxTokens: 12 }, never);
    const first = await send(text);
    const second = await send('What is a window?');
    const third = await send('And a receipt?');
    const computed = [first, second, third].map(
      ({ promptTokens, cachedTokens }) => (promptTokens ?? 0) - (cachedTokens ?? 0),
    );
    noteFigure(`gemma: tokens computed in three turns: ${computed.join(', ')} of ${third.promptTokens}`);
    expect(first.cachedTokens).toBe(0);
    // Not more than the new message and what frames it.
    expect(computed[1]).toBeLessThan(40);
    expect(computed[2]).toBeLessThan(40);
  });

  test('freeze, kill -9, restart, thaw: proven from disk at the floor, and the same next tokens', async () => {
    const frozen = await core.keep(text);
    expect(frozen).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canary: 'agreed' } });
    answer = (await core.answer('s')).text;
    await restart();
    const thawed = await core.thaw();
    noteFigure(
      `gemma: thaw ${thawed.verdict}, ${thawed.cachedTokens} of ${thawed.promptTokens} tokens, canary difference ${thawed.content?.canaryDifference}`,
    );
    expect(thawed).toMatchObject({
      verdict: 'proven',
      tier: 'disk',
      content: { canary: 'agreed', canaryDifference: 0 },
    });
    expect(thawed.cachedTokens).toBe(thawed.floorTokens);
    expect((await core.answer(thawed.session)).text).toBe(answer);
  });

  test('the next message continues from what the thaw proved', async () => {
    await restart();
    const { session, cachedTokens } = await core.thaw();
    const next = await core.answer(session);
    expect(next.cachedTokens).toBeGreaterThanOrEqual(cachedTokens ?? 0);
  });

  const damages: readonly (readonly [string, string, (file: string) => Promise<void>])[] = [
    ['a block is gone', '.kv', rm],
    ['a bit of a block is flipped', '.kv', flipBit],
    ['a state is gone', '.state', rm],
    ['a bit of a state is flipped', '.state', flipBit],
    ['a state is cut', '.state', async (file) => truncate(file, 4000)],
  ];
  test.each(damages)('when %s, nothing false is proven and the answer is the same', async (what, ending, damage) => {
    await server.kill();
    for (const file of await kvFiles(ending)) await damage(file);
    server = await EngineProcess.start(server.kvDir, ...flags);
    const damaged = await core.thaw();
    noteFigure(`gemma: ${what}: ${damaged.verdict}, ${damaged.cachedTokens} of ${damaged.promptTokens} tokens`);
    expect(damaged.verdict).not.toBe('proven');
    expect((await core.answer(damaged.session)).text).toBe(answer);
    await restart();
    expect(await core.thaw()).toMatchObject({ verdict: 'proven', tier: 'disk' });
  });
});

async function flipBit(file: string): Promise<void> {
  await using handle = await open(file, 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const byte = new Uint8Array(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Uint8Array.of((byte[0] ?? 0) ^ 0x40), 0, 1, at);
}
