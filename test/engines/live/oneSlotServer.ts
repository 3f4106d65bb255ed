import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';

/** A llama-server with a tiny model, one slot, slot files and no cache of its own, which ends with the test. */
export async function oneSlotServer() {
  const never = new AbortController().signal;
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const modelPath = await llamaModel({ signal: never });
  const start = { modelPath, slotDir, servedName: 'tiny', slots: 1, cacheRamMib: 0 };
  let server = await startLlamaServer(start, never);
  onTestFinished(() => server.stop());
  const port = Number(new URL(server.url).port);
  return {
    engine: `${server.url}#slots=${encodeURI(slotDir)}`,
    kill: () => server.kill(),
    /** At the same address, after {@link kill}. */
    async startAgain(): Promise<void> {
      server = await startLlamaServer({ ...start, port }, never);
    },
  };
}
