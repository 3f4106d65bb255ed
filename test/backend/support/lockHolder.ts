// Takes the lock of the directory in argv, says on stdout whether it got it, and holds it until it is killed or its stdin ends.
import { takeBackendLock } from '../../../src/backend/process/backendLock.ts';

const result = takeBackendLock(process.argv[2] ?? '', () => process.stdout.write('lost\n'));
process.stdout.write(result.held ? 'held\n' : `taken by ${result.by?.pid ?? 'somebody'}\n`);
if (result.held) {
  process.stdin.resume();
  process.stdin.once('end', () => {
    result.lock.dispose();
    process.exit(0);
  });
}
