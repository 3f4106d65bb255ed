import { test } from 'vitest';

import { folderStory } from '../../cli/support/folderStory.ts';
import { cliOn } from '../../cli/support/cli.ts';
import { killHard, readRecord, realBackends } from '../../client/support/realBackends.ts';
import { oneSlotServer } from './oneSlotServer.ts';

const { makeStorage, client } = realBackends();

test('S0-16 S2-16 folders open warm on a real llama-server with one slot, after a message at once in the second one and a kill -9 of it and of the backend', async () => {
  const server = await oneSlotServer();
  const storage = makeStorage();
  await cliOn(storage).json('use', server.engine);
  await folderStory({
    storage,
    place: makeStorage(),
    client: () => client(storage),
    killAll: async () => {
      await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
      await server.startAgain();
    },
    tokensPerBlock: 1,
    isInHurry: true,
  });
});
