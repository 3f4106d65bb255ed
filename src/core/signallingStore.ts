import type { SessionId } from '../protocol/ids.ts';
import type { Change } from '../protocol/signals.ts';
import type { StateStore } from './ports/states.ts';
import type { Store } from './ports/store.ts';

/** Tells clients what changed. */
export interface Changes {
  emit(change: Change): void;
}

type Methods = Omit<Store, 'states'>;
type Told<Name extends keyof Methods> = (
  result: Awaited<ReturnType<Methods[Name]>>,
  ...given: Parameters<Methods[Name]>
) => readonly Change[];
/**
 * `reads`: the method changes nothing. `unseen`: clients have no view of what it writes, or see it only once a record names it, and the
 * write of that record has its own signal.
 */
type Effect<Name extends keyof Methods> = 'reads' | 'unseen' | Told<Name>;

const session = (id: string, version?: number): Change => ({
  type: 'session',
  session: id,
  ...(version !== undefined && { version }),
});
const window = (name: string): Change => ({ type: 'window', window: name });
const state = (id: string): Change => ({ type: 'state', session: id });

/** What each method of the store changes for clients. A method without a row does not compile. */
export const effects: { readonly [Name in keyof Methods]: Effect<Name> } = {
  createSession: (_, { id, version }) => [session(id, version)],
  getSession: 'reads',
  updateSession: (_, { id, version }) => [session(id, version)],
  listSessions: 'reads',
  sessionIds: 'reads',
  deleteSession: (_, id) => [session(id)],
  appendMessages: 'unseen',
  loadMessages: 'reads',
  saveTokens: 'unseen',
  loadTokens: 'reads',

  createWindow: (_, { name }) => [window(name)],
  getWindow: 'reads',
  loadWindowTokens: 'reads',
  loadWindowKv: 'reads',
  replaceWindowKv: (_, name) => [window(name)],
  blocksHeldByOthers: 'reads',
  checksumsOfOthers: 'reads',
  recordsOfLineage: 'reads',
  appendReceipt: (_, name) => [window(name)],
  listReceipts: 'reads',
  listWindows: 'reads',
  allWindows: 'reads',
  windowNames: 'reads',
  setPinned: (_, name) => [window(name)],
  isPinned: 'reads',
  deleteWindow: (_, name) => [window(name)],

  createLineage: 'unseen',
  getLineage: 'reads',
  advanceLineage: 'unseen',

  activeSession: 'reads',
  setActiveSession: (_, project) => [{ type: 'project', project }],

  measure: 'reads',
  freeBytes: 'reads',
  listTrash: 'reads',
  restore: ({ kind, name }) => (kind === 'session' ? [session(name)] : kind === 'window' ? [window(name)] : []),
  emptyTrash: 'unseen',

  verify: 'reads',
  repair: () => [{ type: 'resync' }],
};

/**
 * The store, which sends clients a signal for every change, once it is stored and before the caller continues. A change that fails
 * sends none. An operation of several writes sends one for each write.
 */
export function signallingStore(store: Store, changes: Changes): Store {
  const states = signallingStates(store.states, changes);
  return new Proxy(store, {
    get(target, name: keyof Store) {
      if (name === 'states') return states;
      const effect = effects[name] as
        | 'reads'
        | 'unseen'
        | ((result: unknown, ...given: unknown[]) => readonly Change[]);
      const method = target[name] as (...given: unknown[]) => Promise<unknown>;
      if (typeof effect !== 'function') return method.bind(target);
      return async (...given: unknown[]): Promise<unknown> => {
        const result = await method.apply(target, given);
        for (const change of effect(result, ...given)) changes.emit(change);
        return result;
      };
    },
  });
}

function signallingStates(states: StateStore, changes: Changes): StateStore {
  const tell = (ids: Iterable<string>): void => {
    for (const id of ids) changes.emit(state(id));
  };
  return {
    load: (id) => states.load(id),
    recoveryPoints: (id) => states.recoveryPoints(id),
    checkRecoveryPoint: (point) => states.checkRecoveryPoint(point),
    activeSessions: () => states.activeSessions(),
    async save(id, next, fromVersion) {
      await states.save(id, next, fromVersion);
      tell([id]);
    },
    async addRecoveryPoint(point, spared) {
      const added = await states.addRecoveryPoint(point, spared);
      tell([point.session]);
      return added;
    },
    async restore(restored, stored, fromVersion) {
      await states.restore(restored, stored, fromVersion);
      changes.emit(session(restored.id, restored.version));
      tell([restored.id]);
    },
    async setActiveSessions(ids) {
      // A list that cannot be read is about to be replaced; only the previous selection stays unknown.
      const before = await states.activeSessions().catch((): SessionId[] => []);
      await states.setActiveSessions(ids);
      tell(new Set([...before, ...ids]));
    },
  };
}
