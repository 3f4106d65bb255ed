import { wrapParts } from '../../base/wrapParts.ts';
import type { Store } from '../../core/ports/store.ts';
import type { AuditFact } from '../../protocol/schemas/audit.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Lifecycle } from '../../protocol/schemas/session.ts';
import { currentClient } from '../requestScope.ts';

type Told = Omit<AuditFact, 'outcome' | 'client'>;
/** Does what the method does, and says what there is to tell of it. */
type Observer<Method> = Method extends (...given: infer Given) => infer Running
  ? (run: () => Running, ...given: Given) => Promise<readonly Told[]>
  : never;
type Observers = {
  readonly [Part in keyof Store]?: { readonly [Name in keyof Store[Part]]?: Observer<Store[Part][Name]> };
};
type AnyObserver = (run: never, ...given: never) => Promise<readonly Told[]>;

/**
 * The store, with an entry in the audit log for every session and window that is made, changes its state, is thawed or deleted, and for every
 * change of what clients store with a session (S3-10): after the change and before the caller goes on. What the core does in several steps is
 * told step by step, and so is what it takes back.
 */
export function auditedStore(store: Store, record: (facts: readonly AuditFact[]) => Promise<void>): Store {
  return wrapParts<Store, AnyObserver>(store, makeObservers(store), (observer, method) => {
    const observe = observer as (run: () => unknown, ...given: readonly unknown[]) => Promise<readonly Told[]>;
    return async (...given) => {
      let result: unknown;
      const told = await observe(() => (result = method(...given)), ...given);
      const client = currentClient();
      await record(told.map(({ event, ...more }) => ({ event, outcome: 'ok', client, ...more })));
      return result;
    };
  });
}

function makeObservers(store: Store): Observers {
  /** Of the sessions that were changed since the start. */
  const lifecycles = new Map<SessionId, Lifecycle>();
  return {
    sessions: {
      async create(run, session) {
        await run();
        lifecycles.set(session.id, session.lifecycle);
        return [{ event: 'SESSION_CREATE', session: session.id }];
      },
      async update(run, next) {
        const id = next.id;
        const from = lifecycles.get(id) ?? (await store.sessions.get(id))?.lifecycle;
        await run();
        lifecycles.set(id, next.lifecycle);
        if (from === undefined || from === next.lifecycle) return [];
        return [{ event: 'SESSION_STATE_CHANGE', session: id, from, to: next.lifecycle }];
      },
      async delete(run, id) {
        await run();
        lifecycles.delete(id);
        return [{ event: 'SESSION_DELETE', session: id }];
      },
    },
    windows: {
      async create(run, { name, session, mode, parentWindow }) {
        await run();
        return mode === 'clone'
          ? [{ event: 'WINDOW_CLONE', session, window: name, ...(parentWindow !== null && { source: parentWindow }) }]
          : [{ event: 'WINDOW_FREEZE', session, window: name, mode }];
      },
      async delete(run, window) {
        await run();
        return [{ event: 'WINDOW_DELETE', window }];
      },
    },
    receipts: {
      async append(run, window, { operation, session, verdict }) {
        await run();
        if (operation !== 'thaw') return [];
        return [{ event: 'WINDOW_THAW', session, window, ...(verdict !== null && { verdict }) }];
      },
    },
    states: {
      async save(run, session, next, fromVersion) {
        await run();
        return next.version === fromVersion ? [] : [stateFact('STATE_UPDATE', session, fromVersion, next.version)];
      },
      async restore(run, { id }, state, fromVersion) {
        await run();
        return [stateFact('STATE_RESTORE', id, fromVersion, state?.version ?? fromVersion ?? 0)];
      },
    },
    trash: {
      async restore(run) {
        const { kind, name } = await run();
        if (kind === 'session') return [{ event: 'SESSION_RESTORE', session: name }];
        return kind === 'window' ? [{ event: 'WINDOW_RESTORE', window: name }] : [];
      },
      async empty(run) {
        const items = (await run()).length;
        return items === 0 ? [] : [{ event: 'TRASH_EMPTY', items }];
      },
    },
  };
}

const stateFact = (
  event: 'STATE_UPDATE' | 'STATE_RESTORE',
  session: SessionId,
  from: number | null,
  to: number,
): Told => ({
  event,
  session,
  ...(from !== null && { from: String(from) }),
  to: String(to),
});
