import { wrapParts } from '../base/wrapParts.ts';
import type { SessionId } from '../protocol/ids.ts';
import type { Message, Session } from '../protocol/schemas/session.ts';
import { sessionChange, type Change, type NamedEvent } from '../protocol/signals.ts';
import type { Store } from './ports/store.ts';

/** Tells clients what changed. */
export interface Changes {
  emit(change: Change): void;
  /** For programs of other people. Default: nobody listens. */
  tell?(event: NamedEvent): void;
}

/**
 * `reads`: the method changes nothing. `unseen`: clients have no view of what it writes, or see it only once a record names it, and the
 * write of that record has its own signal.
 */
type Effect<Method> = Method extends (...given: infer Given) => Promise<infer Result>
  ? 'reads' | 'unseen' | ((result: Result, ...given: Given) => readonly Change[])
  : never;
type Effects<Part> = { readonly [Name in keyof Part]: Effect<Part[Name]> };
type AnyEffect = 'reads' | 'unseen' | ((result: never, ...given: never) => readonly Change[]);

const window = (name: string): Change => ({ type: 'window', window: name });
const state = (id: string): Change => ({ type: 'state', session: id });

/** What each method of the store changes for clients. A method without a row does not compile. */
export const effects: { readonly [Part in keyof Store]: Effects<Store[Part]> } = {
  sessions: {
    create: (_, record) => [sessionChange(record.id, record)],
    get: 'reads',
    update: (_, record) => [sessionChange(record.id, record)],
    list: 'reads',
    projects: 'reads',
    ids: 'reads',
    delete: (_, id) => [sessionChange(id)],
    saveTokens: 'unseen',
    tokenList: 'reads',
    loadTokens: 'reads',
    storedTokens: 'reads',
  },
  messages: {
    append: 'unseen',
    chain: 'reads',
    load: 'reads',
    loadOrStandIns: 'reads',
  },
  memory: {
    load: 'reads',
    append: 'unseen',
    notes: 'reads',
    changeNotes: 'unseen',
  },
  answers: {
    append: 'unseen',
    left: 'reads',
    ended: 'unseen',
  },
  search: {
    messages: 'reads',
    occurrences: 'reads',
    unembedded: 'reads',
    keepVectors: 'reads',
    vectorCounts: 'reads',
    near: 'reads',
  },
  windows: {
    create: (_, { name }) => [window(name)],
    get: 'reads',
    loadTokens: 'reads',
    loadKv: 'reads',
    loadKvHead: 'reads',
    replaceKv: (_, name) => [window(name)],
    list: 'reads',
    all: 'reads',
    names: 'reads',
    setPinned: (_, name) => [window(name)],
    isPinned: 'reads',
    delete: (_, name) => [window(name)],
  },
  checkpoints: {
    get: 'reads',
    put: 'unseen',
    delete: 'unseen',
  },
  blocks: {
    heldByOthers: 'reads',
    checksumsOfOthers: 'reads',
    recordsOfLineage: 'reads',
  },
  receipts: {
    append: (_, name) => [window(name)],
    list: 'reads',
  },
  lineages: {
    create: 'unseen',
    get: 'reads',
    advance: 'unseen',
    markImported: 'unseen',
  },
  projects: {
    currentSession: 'reads',
    known: 'reads',
    list: 'reads',
    note: 'unseen',
    forget: (_, project) => [{ type: 'project', project }],
    setCurrentSession: (_, project) => [{ type: 'project', project }],
    switchBranch: (_, project) => [{ type: 'project', project }],
    isRecorded: 'reads',
    setRecorded: (_, project) => [{ type: 'project', project }],
    isTrusted: 'reads',
    base: 'reads',
    setBase: (_, project) => [{ type: 'project', project }],
    setTrusted: (_, project) => [{ type: 'project', project }],
  },
  prompts: {
    list: 'reads',
    get: 'reads',
    put: 'unseen',
    delete: 'unseen',
  },
  states: {
    load: 'reads',
    save: (_, id) => [state(id)],
    recoveryPoints: 'reads',
    addRecoveryPoint: (_, point) => [state(point.session)],
    checkRecoveryPoint: 'reads',
    restore: (_, record) => [sessionChange(record.id, record), state(record.id)],
    selectedSessions: 'reads',
    setSelectedSessions: (before, ids) => [...new Set([...before, ...ids])].map(state),
  },
  trash: {
    list: 'reads',
    restore: ({ kind, name }) => (kind === 'session' ? [sessionChange(name)] : kind === 'window' ? [window(name)] : []),
    removeSession: 'unseen',
    empty: 'unseen',
  },
  space: {
    measure: 'reads',
    freeBytes: 'reads',
    isClockSteady: 'reads',
  },
  check: {
    verify: 'reads',
    repair: () => [{ type: 'resync' }],
  },
};

/**
 * The store, which sends clients a signal for every change, once it is stored and before the caller continues. A change that fails
 * sends none. An operation of several writes sends one for each write.
 */
export function signallingStore(store: Store, changes: Changes): Store {
  const named = changes.tell ? namedStore(store, (event) => changes.tell?.(event)) : store;
  return wrapParts<Store, AnyEffect>(named, effects, (effect, method) => {
    if (typeof effect !== 'function') return method;
    const told = effect as (result: unknown, ...given: readonly unknown[]) => readonly Change[];
    return async (...given) => {
      const result = await method(...given);
      for (const change of told(result, ...given)) changes.emit(change);
      return result;
    };
  });
}

/** Sessions whose last title and calls are remembered; an event too many costs a client a pull. */
const mostRemembered = 10_000;
/** One for all: most sessions ask for nothing. */
const noCalls: ReadonlySet<string> = new Set();

type Teller = (...given: never) => readonly NamedEvent[];

/** The store, which tells of messages, titles and tool calls once they are stored. */
function namedStore(store: Store, tell: (event: NamedEvent) => void): Store {
  const known = new Map<SessionId, { readonly title: string; readonly calls: ReadonlySet<string> }>();
  const seen = ({ id, title, pendingTools }: Session): readonly NamedEvent[] => {
    const before = known.get(id);
    const asked = (pendingTools?.calls ?? []).filter(
      ({ why, decision }) => why !== undefined && decision === undefined,
    );
    if (known.size >= mostRemembered) known.clear();
    known.set(id, { title, calls: asked.length === 0 ? noCalls : new Set(asked.map((call) => call.id)) });
    return [
      ...(before && before.title !== title ? [{ name: 'TitleUpdated', data: { context_id: id } } as const] : []),
      ...asked
        .filter((call) => !before?.calls.has(call.id))
        .map(
          (call) =>
            ({ name: 'ToolCallRequested', data: { context_id: id, call_id: call.id, tool: call.name } }) as const,
        ),
    ];
  };
  const tellers = {
    sessions: { create: seen, update: seen },
    messages: {
      append: (id: SessionId, messages: readonly Message[]) => messages.map((message) => stored(id, message)),
    },
  };
  return wrapParts<Store, Teller>(store, tellers, (teller, method) => async (...given) => {
    const result = await method(...given);
    for (const event of (teller as (...args: readonly unknown[]) => readonly NamedEvent[])(...given)) tell(event);
    return result;
  });
}

const stored = (context_id: SessionId, { id: message_id, role }: Message): NamedEvent =>
  role === 'assistant'
    ? { name: 'MessageCompleted', data: { context_id, message_id } }
    : { name: 'MessageCreated', data: { context_id, message_id, role } };
