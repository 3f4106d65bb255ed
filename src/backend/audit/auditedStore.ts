import type { Store } from '../../core/ports/store.ts';
import type { AuditFact } from '../../protocol/schemas/audit.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Lifecycle } from '../../protocol/schemas/session.ts';
import { currentClient } from '../requestScope.ts';
import { auditedStates } from './auditedStates.ts';

type Operations = Omit<Store, 'states'>;
type Told = Omit<AuditFact, 'outcome' | 'client'>;
/** Calls the method, and returns the entries for the audit log. */
type Observer<Name extends keyof Operations> = (
  run: () => ReturnType<Operations[Name]>,
  ...given: Parameters<Operations[Name]>
) => Promise<readonly Told[]>;
type AnyObserver = (run: () => unknown, ...given: unknown[]) => Promise<readonly Told[]>;
type Observers = { readonly [Name in keyof Operations]?: Observer<Name> };

/**
 * The store, with an entry in the audit log for every session and window that is created, changes its lifecycle, is thawed or deleted.
 * The entry is written after the change and before the caller continues. An operation of several steps has an entry for each, also for
 * a step that is taken back.
 */
export function auditedStore(store: Store, record: (facts: readonly AuditFact[]) => Promise<void>): Store {
  const observers = makeObservers(store);
  const states = auditedStates(store.states, record);
  return new Proxy(store, {
    get(target, name: keyof Store) {
      if (name === 'states') return states;
      const method = target[name] as (...given: unknown[]) => Promise<unknown>;
      const observer = observers[name] as AnyObserver | undefined;
      if (!observer) return method.bind(target);
      return async (...given: unknown[]): Promise<unknown> => {
        let result: unknown;
        const told = await observer(() => (result = method.apply(target, given)), ...given);
        const client = currentClient();
        await record(told.map((fact) => ({ ...fact, outcome: 'ok', client })));
        return result;
      };
    },
  });
}

function makeObservers(store: Store): Observers {
  /** Lifecycles of the sessions that were changed since the start. */
  const lifecycles = new Map<SessionId, Lifecycle>();
  return {
    async createSession(run, session) {
      await run();
      lifecycles.set(session.id, session.lifecycle);
      return [{ event: 'SESSION_CREATE', session: session.id }];
    },
    async updateSession(run, next) {
      const id = next.id;
      const from = lifecycles.get(id) ?? (await store.getSession(id))?.lifecycle;
      await run();
      lifecycles.set(id, next.lifecycle);
      if (from === undefined || from === next.lifecycle) return [];
      return [{ event: 'SESSION_STATE_CHANGE', session: id, from, to: next.lifecycle }];
    },
    async deleteSession(run, id) {
      await run();
      lifecycles.delete(id);
      return [{ event: 'SESSION_DELETE', session: id }];
    },
    async createWindow(run, { name, session, mode, parentWindow }) {
      await run();
      return mode === 'clone'
        ? [{ event: 'WINDOW_CLONE', session, window: name, ...(parentWindow !== null && { source: parentWindow }) }]
        : [{ event: 'WINDOW_FREEZE', session, window: name, mode }];
    },
    async appendReceipt(run, window, { operation, session, verdict }) {
      await run();
      if (operation !== 'thaw') return [];
      return [{ event: 'WINDOW_THAW', session, window, ...(verdict !== null && { verdict }) }];
    },
    async deleteWindow(run, window) {
      await run();
      return [{ event: 'WINDOW_DELETE', window }];
    },
    async restore(run) {
      const { kind, name } = await run();
      if (kind === 'session') return [{ event: 'SESSION_RESTORE', session: name }];
      return kind === 'window' ? [{ event: 'WINDOW_RESTORE', window: name }] : [];
    },
    async emptyTrash(run) {
      const items = (await run()).length;
      return items === 0 ? [] : [{ event: 'TRASH_EMPTY', items }];
    },
  };
}
