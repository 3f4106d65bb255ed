import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { makeCore, type Core } from '../../../src/core/core.ts';
import type { Engine } from '../../../src/core/ports/engine.ts';
import type { SpaceLimits } from '../../../src/core/space/limits.ts';
import { diskFiles } from '../../../src/store/disk/files.ts';
import { openStore } from '../../../src/store/openStore.ts';
import { BlockFiles } from '../../../src/store/space/blockFiles.ts';

/** Where the embedded engine of a storage directory has its KV. */
export const kvDirOf = (storage: string): string => join(storage, 'kv');

/** The core over a store and the embedded engine's KV in one directory, as a user has them. Ends with the test. */
export async function coreInStorage(storage: string, engine: Engine, limits: Partial<SpaceLimits> = {}): Promise<Core> {
  const store = await openStore({ directory: storage, clock: systemClock });
  const cwm = makeCore({
    store,
    clock: systemClock,
    changes: { emit: () => undefined },
    engines: { defaultSpec: engine.spec, get: () => engine, status: () => Promise.reject(new Error('not needed')) },
    files: { read: async () => ({ files: [], skipped: [] }) },
    blocks: new BlockFiles(diskFiles, kvDirOf(storage)),
    limits: { graceMs: 0, ...limits },
    // At the end, nothing is left to save KV for.
    checkpoints: { shutdownMs: 0 },
  });
  onTestFinished(async () => {
    await cwm.close();
    await store.close();
  });
  return cwm;
}
