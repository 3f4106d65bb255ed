import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LlamaServerEngine } from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { coreOver, type CoreOver } from '../llamaServer/coreOver.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import type { ModelServer } from './guardedServer.ts';
import { startLlamaServer } from './llamaServer.ts';

/** Text that means something, longer than the model's window of 512 tokens. */
const text = (await readFile(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8')).slice(0, 2600);
const never = new AbortController().signal;

/** A real model whose sliding window cannot be cut, on a real llama-server: it computes a few of the last tokens each time. */
describe('llama-server with a model that has a sliding window', () => {
  let slotDir: string;
  let server: ModelServer;
  let engine: LlamaServerEngine;
  let core: CoreOver;

  const start = (): Promise<ModelServer> =>
    startLlamaServer({ modelPath: gemmaModel(), slotDir, servedName: 'gemma', contextTokens: 4096, slots: 1 }, never);
  const slotFile = async (): Promise<string> => {
    const names = await readdir(slotDir);
    expect(names).toHaveLength(1);
    return join(slotDir, names[0] ?? '');
  };
  /** Changes whenever somebody writes the file. */
  const stamp = async (): Promise<string> => {
    const { size, mtimeNs, ino } = await stat(await slotFile(), { bigint: true });
    return `${size} ${mtimeNs} ${ino}`;
  };
  const row = (what: string, { verdict, cachedTokens, floorTokens, tier, kvBytesWritten, content }: Receipt) =>
    noteFigure(
      `llama-server with Gemma, ${what}: ${verdict}, ${cachedTokens} of ${floorTokens} reused, tier ${tier}, ` +
        `${kvBytesWritten} bytes written, canary ${content.canary} (${content.canaryDifference})`,
    );

  beforeAll(async () => {
    slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
    server = await start();
    engine = new LlamaServerEngine({ spec: 'http://live', connect: async () => ({ url: server.url }), slotDir });
    core = await coreOver(engine);
  });
  afterAll(async () => {
    await core.dispose();
    await engine.close();
    await server.stop();
    await rm(slotDir, { recursive: true, force: true });
  });

  test('the freeze learns what a restore can give; every thaw reaches it and writes nothing of a file that is whole', async () => {
    const frozen = await core.keep(text);
    row('frozen', frozen);
    expect(frozen).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canary: 'agreed' } });
    const written = await stamp();
    const answers: string[] = [];
    for (const what of ['at once', 'again', 'after kill -9', 'after kill -9, again']) {
      if (what === 'after kill -9') {
        await server.kill();
        server = await start();
      }
      const thawed = await core.thaw();
      row(`thawed ${what}`, thawed);
      expect(thawed, what).toMatchObject({
        tier: 'disk',
        kvBytesWritten: 0,
        repair: 'none',
        content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0 },
      });
      expect(await stamp(), what).toBe(written);
      expect(thawed, what).toMatchObject({ verdict: 'proven', cachedTokens: thawed.floorTokens });
      if ((thawed.floorTokens ?? 0) < (thawed.promptTokens ?? 0) - 1)
        expect(thawed.notes.join(' ')).toContain("the model's cache has a sliding window");
      answers.push((await core.answer(thawed.session)).text);
    }
    expect(new Set(answers).size).toBe(1);
  });
});
