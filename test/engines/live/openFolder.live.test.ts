import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished, test } from 'vitest';

import { folderStory } from '../../cli/support/folderStory.ts';
import { cliOn } from '../../cli/support/cli.ts';
import { killHard, readRecord, realBackends } from '../../client/support/realBackends.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';

const { makeStorage, client } = realBackends();
const never = new AbortController().signal;

const question = (folder: string): string =>
  Array.from({ length: 24 }, (_, at) => `${folder} line ${at}: ${at * 7919}`).join('\n');

test('S0-16 S2-16 folders open warm on a real llama-server with one slot, after a message at once in the second one and a kill -9 of it and of the backend', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const start = {
    modelPath: await llamaModel({ signal: never }),
    slotDir,
    servedName: 'tiny',
    slots: 1,
    cacheRamMib: 0,
  };
  let server = await startLlamaServer(start, never);
  onTestFinished(() => server.stop());
  const storage = makeStorage();
  const use = `${server.url}#slots=${encodeURI(slotDir)}`;
  await cliOn(storage).json('use', use);
  const { port } = new URL(server.url);
  await folderStory({
    storage,
    place: makeStorage(),
    client: () => client(storage),
    killAll: async () => {
      await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
      server = await startLlamaServer({ ...start, port: Number(port) }, never);
    },
    tokensPerBlock: 1,
    question,
    isInHurry: true,
  });
});
