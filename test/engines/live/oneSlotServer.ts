import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer, type LlamaServerStart } from './llamaServer.ts';

type Given = Pick<LlamaServerStart, 'modelPath' | 'contextTokens' | 'slots' | 'sharesCache' | 'cacheRamMib'>;

/** A llama-server with one slot, slot files and no cache of its own, which ends with the test. @param given default: a tiny model. */
export async function oneSlotServer(given?: Given) {
  const never = new AbortController().signal;
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const model = given ?? { modelPath: await llamaModel({ signal: never }) };
  const start = { slotDir, servedName: 'served', slots: 1, cacheRamMib: 0, ...model };
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
