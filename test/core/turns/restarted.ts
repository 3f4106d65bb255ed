import { makeCore, type Core } from '../../../src/core/core.ts';
import type { CoreFixture } from '../coreFixture.ts';

/** A core over the same store, as the next process makes it: it has recovered what the last one left. */
export async function restarted({ store, engine, tools, clock }: CoreFixture): Promise<Core> {
  const engines = {
    defaultSpec: engine.spec,
    get: () => engine,
    status: () => Promise.reject(new Error('not needed')),
  };
  const files = { read: async () => ({ files: [], skipped: [] }) };
  const next = makeCore({ store, engines, tools, clock, files, changes: { emit: () => undefined } });
  await next.recover();
  return next;
}
