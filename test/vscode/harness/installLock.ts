import { open, rm, stat, utimes } from 'node:fs/promises';
import { onShutdown } from './shutdown.ts';
import { waitUntil } from './waitUntil.ts';

const HEARTBEAT_MS = 2_000;
/** A holder that has not refreshed its file for this long is dead. */
const STALE_MS = 20_000;

export interface LockOptions {
  /** How long to wait for another holder. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once when the lock is held by someone else. */
  readonly onWait: () => void;
}

/**
 * Runs `action` while holding the lock file. It saves two runs from doing the same work; it is no proof of exclusion (a holder
 * stopped for 20 s loses it), so `action` must still publish its result by one rename.
 */
export async function withInstallLock<T>(file: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  let waited = false;
  await waitUntil(
    `the lock ${file}`,
    async () => {
      if (await take(file)) return true;
      if (!waited) options.onWait();
      waited = true;
      return undefined;
    },
    { timeoutMs: options.timeoutMs, intervalMs: 500, signal: options.signal },
  );
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined); // taken from us as stale: harmless, see above
  }, HEARTBEAT_MS);
  heartbeat.unref();
  const withdraw = onShutdown('files', () => rm(file, { force: true }));
  try {
    return await action();
  } finally {
    withdraw();
    clearInterval(heartbeat);
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(`${process.pid}\n`);
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const found = await stat(file).catch(() => undefined);
  if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(file, { force: true });
  return false;
}
