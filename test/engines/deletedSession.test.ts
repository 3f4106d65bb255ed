import { readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Engine } from '../../src/core/ports/engine.ts';
import { coreOver } from './llamaServer/coreOver.ts';
import { makeRig as makeLlamaRig } from './llamaServer/rig.ts';
import { makeRig as makeVllmRig, never } from './vllm/rig.ts';

async function talked(engine: Engine) {
  const over = await coreOver(engine);
  onTestFinished(() => over.dispose());
  await over.keep();
  return over.cwm;
}

const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(bin|slot)$/.test(entry.name))
    .map(({ name }) => name);

describe('a deleted session leaves no KV in', () => {
  it("vllm's tier: what its turns wrote, what its window and its checkpoint name; another session's stays", async () => {
    const rig = await makeVllmRig({ tier: {} });
    const cwm = await talked(rig.engine);
    await cwm.createSession({ id: 'other' });
    await cwm.send({ session: 'other', text: 'What is ice? '.repeat(40), maxTokens: 4 }, never);
    await cwm.freeze({ session: 'other', window: 'o', checkpoint: true }, never);
    const all = await filesIn(rig.rootDir);
    const deleted = await cwm.deleteSession({ session: 's', cascade: true }, never);
    expect(deleted.unreached).toBeUndefined();
    const left = await filesIn(rig.rootDir);
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(all.length);
    await cwm.deleteSession({ session: 'other', cascade: true }, never);
    expect(await filesIn(rig.rootDir)).toEqual([]);
  });

  it("llama-server's slot folder", async () => {
    const rig = await makeLlamaRig();
    const cwm = await talked(rig.engine);
    expect(await readdir(rig.slotDir)).not.toEqual([]);
    expect((await cwm.deleteSession({ session: 's', cascade: true }, never)).unreached).toBeUndefined();
    expect(await readdir(rig.slotDir)).toEqual([]);
  });

  it('and names the tier that it could not reach: an unknown folder, a server that is away', async () => {
    const rig = await makeLlamaRig({ folder: 'out of sight' });
    const hidden = await talked(rig.engine);
    expect((await hidden.deleteSession({ session: 's', cascade: true }, never)).unreached).toEqual([
      { engine: rig.engine.spec, why: expect.stringContaining('is not known here: add #slots=DIR') },
    ]);
    const vllm = await makeVllmRig({ tier: {} });
    const away = await talked(vllm.engine);
    await vllm.fake.stop();
    expect((await away.deleteSession({ session: 's', cascade: true }, never)).unreached).toEqual([
      { engine: vllm.engine.spec, why: expect.stringContaining('Nothing listens at') },
    ]);
  });
});
