import type { Store } from '../../core/ports/store.ts';
import type { IndexedRecord } from '../index/liveIndex.ts';

/** What a method does: it reads, it writes, or it writes a record that the index lists, and says which one. */
type MethodAccess<Method> = Method extends (...given: infer Given) => Promise<unknown>
  ? 'read' | 'write' | ((...given: Given) => IndexedRecord)
  : never;

export type Accesses<Part> = { readonly [Name in keyof Part]: MethodAccess<Part[Name]> };

/** What each method of the store does. A method without a row does not compile. */
export const accesses: { readonly [Part in keyof Store]: Accesses<Store[Part]> } = {
  sessions: {
    create: ({ id }) => ({ session: id }),
    get: 'read',
    update: ({ id }) => ({ session: id, only: 'record' }),
    list: 'read',
    projects: 'read',
    ids: 'read',
    delete: (id) => ({ session: id }),
    saveTokens: 'write',
    tokenList: 'read',
    loadTokens: 'read',
    storedTokens: 'read',
  },
  messages: {
    append: (session) => ({ session, only: 'messages' }),
    chain: 'read',
    load: 'read',
    loadOrStandIns: 'read',
  },
  memory: {
    load: 'read',
    append: 'write',
    notes: 'read',
    changeNotes: 'write',
  },
  answers: {
    append: 'write',
    left: 'read',
    ended: 'write',
  },
  search: {
    messages: 'read',
    occurrences: 'read',
    unembedded: 'read',
    keepVectors: 'read',
    vectorCounts: 'read',
    near: 'read',
  },
  windows: {
    create: ({ name }) => ({ window: name }),
    get: 'read',
    loadTokens: 'read',
    loadKv: 'read',
    loadKvHead: 'read',
    replaceKv: (name) => ({ window: name }),
    list: 'read',
    all: 'read',
    names: 'read',
    setPinned: (name) => ({ window: name }),
    isPinned: 'read',
    delete: (name) => ({ window: name }),
  },
  checkpoints: {
    get: 'read',
    put: 'write',
    delete: 'write',
  },
  blocks: {
    heldByOthers: 'read',
    checksumsOfOthers: 'read',
    recordsOfLineage: 'read',
  },
  receipts: {
    append: (window) => ({ window }),
    list: 'read',
  },
  lineages: {
    create: 'write',
    get: 'read',
    advance: 'write',
    markImported: 'write',
  },
  projects: {
    currentSession: 'read',
    known: 'read',
    list: 'read',
    note: 'write',
    forget: 'write',
    setCurrentSession: 'write',
    switchBranch: 'write',
    isRecorded: 'read',
    setRecorded: 'write',
    isTrusted: 'read',
    base: 'read',
    setBase: 'write',
    setTrusted: 'write',
  },
  prompts: {
    list: 'read',
    get: 'read',
    put: 'write',
    delete: 'write',
  },
  states: {
    load: 'read',
    save: 'write',
    recoveryPoints: 'read',
    addRecoveryPoint: 'write',
    checkRecoveryPoint: 'read',
    restore: ({ id }) => ({ session: id }),
    selectedSessions: 'read',
    setSelectedSessions: 'write',
  },
  trash: {
    list: 'read',
    // Only the item shows which record comes back: the part tells the index itself.
    restore: 'write',
    removeSession: 'write',
    empty: 'write',
  },
  space: {
    measure: 'read',
    freeBytes: 'read',
    isClockSteady: 'read',
  },
  check: {
    verify: 'read',
    repair: 'write',
  },
};
