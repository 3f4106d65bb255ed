// Takes and releases the lock of the directory in argv as often as it can until it has had it 50 times. Ends with 1 when two
// processes have it at once: whoever has it makes a folder, which only one can.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { takeBackendLock } from '../../../src/backend/process/backendLock.ts';

const directory = process.argv[2] ?? '';
const alone = join(directory, 'alone');
for (let times = 0; times < 50;) {
  const taken = takeBackendLock(directory, () => process.exit(2));
  if (!taken.held) continue;
  mkdirSync(alone);
  rmdirSync(alone);
  taken.lock.dispose();
  times++;
}
