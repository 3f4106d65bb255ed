import type { SessionId } from '../src/protocol/ids.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { makeCore, type Core, type CoreParts } from '../src/core/core.ts';
import type { Engine } from '../src/core/ports/engine.ts';
import type { ToolBox } from '../src/core/ports/tools.ts';
import { CwmError } from '../src/protocol/errors.ts';
import type { FileStore } from '../src/store/fileStore.ts';
import { openStore } from '../src/store/openStore.ts';
import { sessionId } from '../test/support/ids.ts';

export interface PassingCore extends AsyncDisposable {
  readonly cwm: Core;
  readonly store: FileStore;
  readonly directory: string;
  /** The id `s` as a branded id, which the store wants. */
  readonly id: SessionId;
}

/** The core over the real store in a directory of its own, with this engine alone. @param tools default: none. @param change default: checkpoints as usual. */
export async function coreWith(
  engine: Engine,
  tools?: ToolBox,
  change: Partial<Pick<CoreParts, 'checkpoints'>> = {},
): Promise<PassingCore> {
  const directory = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
  const store = await openStore({ directory, clock: systemClock });
  const cwm = makeCore({
    store,
    clock: systemClock,
    changes: { emit: () => undefined },
    engines: {
      defaultSpec: engine.spec,
      get: () => engine,
      status: () => Promise.reject(new CwmError('Internal', 'Nobody asks for it here.')),
    },
    files: { read: async () => ({ files: [], skipped: [] }) },
    ...(tools && { tools }),
    ...change,
  });
  return {
    cwm,
    store,
    directory,
    id: sessionId('s'),
    [Symbol.asyncDispose]: async () => {
      await cwm.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
