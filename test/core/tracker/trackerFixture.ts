import { expect } from 'vitest';
import type { Tracker } from '../../../src/core/tracker/tracker.ts';
import type { TrackerParts } from '../../../src/core/tracker/trackerParts.ts';
import { parseTrackerConfig, type TrackerConfig } from '../../../src/core/tracker/trackerConfig.ts';
import { TrackerFactory } from '../../../src/core/tracker/trackerFactory.ts';
import { Trackers } from '../../../src/core/tracker/trackers.ts';
import { validateState } from '../../../src/core/tracker/validateState.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';
import type { SessionState } from '../../../src/protocol/schemas/tracker.ts';
import { StateFolders } from '../../../src/store/states/stateFolders.ts';
import { aSession, sessionId } from '../../store/builders.ts';
import { FaultyFiles } from '../../store/faultyFiles.ts';
import { MemoryFiles } from '../../store/memoryFiles.ts';
import { FakeClock, openTestStore } from '../../store/testStore.ts';

export const storeRoot = '/home/me/store';
export const folder = '/mnt/shared';

export type TrackerFixture = Awaited<ReturnType<typeof trackerFixture>>;

/** Trackers over the real store in memory, with a session `s1`. */
export async function trackerFixture(memory = new MemoryFiles()) {
  const isNew = (await memory.stat(storeRoot)) === null;
  const faulty = new FaultyFiles(memory);
  const clock = new FakeClock();
  const store = await openTestStore(storeRoot, { files: faulty.files, clock });
  const addSession = (id: string): Promise<void> => store.sessions.create(aSession({ id }));
  if (isNew) await addSession('s1');
  let points = 0;
  const parts: TrackerParts = {
    states: store.states,
    clock,
    newPointId: () => (++points).toString(16).padStart(8, '0'),
    validate: validateState,
    readSession: async (id) => {
      const session = await store.sessions.get(id);
      if (session) return session;
      throw new CwmError('SessionNotFound', 'It is gone.');
    },
  };
  const make = async (id = 's1', config: Partial<TrackerConfig> = { coalesceMs: 0 }): Promise<Tracker> => {
    const made = await new TrackerFactory(parts).createWithConfig(sessionId(id), config);
    if (made instanceof CwmError) throw made;
    return made;
  };
  const trackers = (config: Partial<TrackerConfig> = {}): Trackers =>
    new Trackers(
      {
        factory: new TrackerFactory(parts, config),
        states: store.states,
        clock,
        createSession: (id: SessionId) => addSession(id),
      },
      parseTrackerConfig(config),
    );
  await memory.makeDirectory(folder);
  const peer = new StateFolders(memory).open(folder);
  return { memory, faulty, clock, store, parts, make, trackers, addSession, peer };
}

/** Reads and stores until nobody else was faster: what a caller does who must not lose its change. */
export async function updateWith(
  tracker: Pick<Tracker, 'getState' | 'updateState'>,
  change: (data: SessionState['data']) => SessionState['data'],
): Promise<SessionState> {
  for (;;) {
    const { version, data, metadata } = await tracker.getState();
    try {
      return await tracker.updateState({ version: version + 1, data: change(data), metadata });
    } catch (error) {
      expect(error).toMatchObject({ code: 'CWM-3103' });
    }
  }
}

export const put = (tracker: Tracker, version: number, data: object, metadata: object = {}): Promise<SessionState> =>
  tracker.updateState({ version, data: { ...data }, metadata: { ...metadata } });
