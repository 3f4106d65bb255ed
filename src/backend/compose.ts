import { systemClock } from '../base/clock.ts';
import { entryPointPath } from '../base/entryPoint.ts';
import { Cwm } from '../core/cwm.ts';
import { openStore } from '../store/fileStore.ts';
import { DiskContextFiles } from './contextFiles/diskContextFiles.ts';
import { examine } from './doctor.ts';
import { BackendEngines } from './engines/backendEngines.ts';
import { checkHealth } from './health.ts';
import type { Compose } from './runningBackend.ts';

export interface CompositionOptions {
  /** Engine of sessions that name none. */
  readonly defaultEngine: string;
  /** Given to the embedded engine's program besides model and KV directory. */
  readonly embeddedArgs: readonly string[];
}

/** The composition root: the real store, the real engines and the core over them. */
export const composeServices =
  ({ defaultEngine, embeddedArgs }: CompositionOptions): Compose =>
  async (storage, emit, log) => {
    const store = await openStore({ directory: storage, clock: systemClock });
    // So that the first list need not wait for it.
    void store.warmIndex();
    const engines = new BackendEngines({
      storage,
      defaultSpec: defaultEngine,
      embedded: { entry: entryPointPath('embedded', import.meta.url), args: embeddedArgs },
      log,
      emit,
    });
    const cwm = new Cwm({ store, engines, files: new DiskContextFiles(), clock: systemClock, changes: { emit } });
    const recovered = await cwm.recover();
    if (recovered.length > 0) log.write('warning', 'turns interrupted by a crash', { sessions: recovered.length });
    const problems = () => store.problems;
    return {
      domain: cwm,
      about: {
        health: ({ probe }, signal) => checkHealth({ storage, domain: cwm, engines, problems }, probe ?? false, signal),
        doctor: ({ engine }, signal) => examine({ storage, engines, problems }, engine, signal),
      },
      close: async () => {
        await engines.close();
        await store.close();
      },
    };
  };
