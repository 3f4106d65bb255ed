import { connectBackend } from '../../../src/client/connectBackend.ts';
import { HarnessError } from '../harness/harnessError.ts';

/** Process id of the embedded engine that the backend of this storage directory runs. */
export async function enginePid(storage: string): Promise<number> {
  const backend = await connectBackend({ storage, start: null });
  try {
    const { engines } = await backend.call('health', {});
    const pid = engines.find(({ spec }) => spec === 'embedded')?.pid;
    if (pid === null || pid === undefined) throw new HarnessError('The backend runs no embedded engine.');
    return pid;
  } finally {
    backend.dispose();
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
