import { systemClock } from '../../src/base/clock.ts';
import { openStore } from '../../src/store/openStore.ts';
import {
  aKvRecord,
  aManifest,
  aMessage,
  aPoint,
  aReceipt,
  aSession,
  aState,
  nextVersion,
  sessionId,
  someIds,
  windowName,
} from './builders.ts';

/**
 * A process to be killed: it changes the store in the directory of its first argument without end, and prints a line for every
 * change that was acknowledged.
 */
const store = await openStore({ directory: process.argv[2]!, clock: systemClock });
const id = sessionId('s1');
await store.sessions.create(aSession());
for (let round = 1; ; round++) {
  const version = (await store.sessions.get(id))!;
  await store.sessions.update(nextVersion(version));
  process.stdout.write(`version ${version.version + 1}\n`);
  await store.messages.append(id, [aMessage(`m${round}`, round)]);
  process.stdout.write(`message m${round}\n`);
  await store.windows.create(aManifest({ name: `w${round}` }), someIds, aKvRecord());
  process.stdout.write(`window w${round}\n`);
  await store.receipts.append(windowName(`w${round}`), aReceipt());
  process.stdout.write(`receipt w${round}\n`);
  await store.states.save(id, aState({ version: round }), round - 1);
  process.stdout.write(`state ${round}\n`);
  const pointId = round.toString(16).padStart(8, '0');
  await store.states.addRecoveryPoint(aPoint(pointId));
  process.stdout.write(`point ${pointId}\n`);
}
