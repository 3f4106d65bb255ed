import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { BackendEngines } from '../../../src/backend/engines/backendEngines.ts';
import { systemProcesses } from '../../../src/backend/engines/listeningProcess.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { coreOver } from '../llamaServer/coreOver.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { freePort, type ModelServer } from './guardedServer.ts';
import { startLlamaServer, type LlamaServerStart } from './llamaServer.ts';

const text = (await readFile(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8')).slice(0, 1600);
const never = new AbortController().signal;
const other = { 'of another type': { cacheType: 'q8_0' }, 'of other RoPE': { ropeScale: 2 } } as const;
const cases = (['seen', 'out of sight'] as const).flatMap((sight) =>
  (Object.keys(other) as (keyof typeof other)[]).map((what) => [sight, what] as const),
);

/** A real llama-server with a real model, which computes other KV after a restart, and tells nobody. */
test.each(cases)(
  'K6 with its command line %s, KV %s is never proven, and the answer is that of no KV',
  async (sight, what) => {
    const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
    const port = await freePort();
    let server: ModelServer | null = null;
    const start = async (differs: Partial<LlamaServerStart>): Promise<void> => {
      await server?.kill();
      const usual = { modelPath: gemmaModel(), slotDir, servedName: 'gemma', contextTokens: 4096, slots: 1, port };
      server = await startLlamaServer({ ...usual, ...differs }, never);
    };
    await start({});
    const spec = `http://127.0.0.1:${port}#slots=${slotDir}`;
    const processes = sight === 'seen' ? systemProcesses() : { ...systemProcesses(), uid: undefined };
    const engines = new BackendEngines({
      storage: slotDir,
      defaultSpec: spec,
      embedded: { entry: 'none', args: [] },
      processes,
      log: { write: () => undefined, failure: () => undefined },
      emit: () => undefined,
    });
    const core = await coreOver(engines.get(spec));
    onTestFinished(async () => {
      await core.dispose();
      await engines.close();
      await server?.stop();
      await rm(slotDir, { recursive: true, force: true });
    });
    const row = (when: string, { verdict, cachedTokens, promptTokens, repair, content, notes }: Receipt): void =>
      noteFigure(
        `llama-server with Gemma, KV ${what}, command line ${sight}, ${when}: ${verdict}, ${cachedTokens} of ${promptTokens} reused, ` +
          `canary ${content.canary} (${content.canaryDifference}), repair ${repair}; ${notes.slice(0, 3).join(' | ')}`,
      );

    expect((await core.keep(text)).verdict).toBe('proven');
    await start(other[what]);
    const thawed = await core.thaw();
    row('first thaw', thawed);
    expect(['rebuilt', 'damaged']).toContain(thawed.verdict);
    if (sight === 'seen') expect(thawed.notes.join(' ')).toContain('under other start options of llama-server');
    const answer = (await core.answer(thawed.session)).text;

    // The same question to the same server without any file.
    await start(other[what]);
    for (const name of await readdir(slotDir)) await rm(join(slotDir, name));
    const computed = await core.thaw();
    row('without any file', computed);
    expect((await core.answer(computed.session)).text).toBe(answer);

    // From now on, KV is filed under what the server is.
    await start(other[what]);
    const again = await core.thaw();
    row('after one more restart', again);
    expect(again.verdict).toBe('proven');
  },
);
