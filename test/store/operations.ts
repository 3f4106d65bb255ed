import type { FileStore } from '../../src/store/fileStore.ts';
import {
  aBlock,
  aCheckpoint,
  aKvRecord,
  aManifest,
  aMessage,
  aPoint,
  aReceipt,
  aSession,
  aState,
  contextTokens,
  lineageId,
  mainBranch,
  messageId,
  nextVersion,
  projectUri,
  sessionId,
  sessionsQuery,
  someIds,
  windowName,
  windowsQuery,
} from './builders.ts';

const first = aSession({ tokens: contextTokens(someIds), project: 'file:///p' });
const project = projectUri('file:///p');

/** Two sessions, one of them with a message and a window. */
export async function fill(store: FileStore): Promise<void> {
  await store.lineages.create({ id: lineageId('l1'), salt: 'salt', generation: 0 });
  await store.sessions.create(aSession({ project: 'file:///p' }));
  await store.sessions.create(aSession({ id: 's2' }));
  await store.sessions.saveTokens(sessionId('s1'), someIds);
  await store.sessions.update(nextVersion(first));
  await store.messages.append(sessionId('s1'), [aMessage('m1', 1)]);
  await store.states.save(sessionId('s1'), aState(), 0);
  await store.states.addRecoveryPoint(aPoint('00000001'));
  await store.windows.create(aManifest({ name: 'w0', messageIds: ['m1'] }), someIds, aKvRecord());
  await store.receipts.append(windowName('w0'), aReceipt({ window: 'w0' }));
  await store.checkpoints.put(aCheckpoint());
}

/** Every operation that changes something of what {@link fill} made. */
export const operations: Readonly<Record<string, (store: FileStore) => Promise<unknown>>> = {
  createSession: (store) => store.sessions.create(aSession({ id: 's3' })),
  updateSession: (store) => store.sessions.update(nextVersion(nextVersion(first), { title: 'New' })),
  deleteSession: (store) => store.sessions.delete(sessionId('s2')),
  'appendMessages of one': (store) => store.messages.append(sessionId('s1'), [aMessage('m2', 2)]),
  'appendMessages of two': (store) => store.messages.append(sessionId('s1'), [aMessage('m2', 2), aMessage('m3', 3)]),
  'createSession with content': (store) =>
    store.sessions.create(aSession({ id: 's3', tokens: contextTokens(someIds), branches: mainBranch(['m1']) }), {
      from: sessionId('s1'),
      messageIds: [messageId('m1')],
      tokenIds: someIds,
    }),
  saveTokens: (store) => store.sessions.saveTokens(sessionId('s1'), [9, 9]),
  'createWindow of a freeze': (store) =>
    store.windows.create(aManifest({ mode: 'freeze', messageIds: ['m1'] }), someIds, aKvRecord()),
  'createWindow of a checkpoint': (store) => store.windows.create(aManifest(), someIds, aKvRecord()),
  replaceWindowKv: (store) =>
    store.windows.replaceKv(windowName('w0'), aKvRecord({ blocks: [aBlock('cc')], kvBytes: 1 })),
  appendReceipt: (store) => store.receipts.append(windowName('w0'), aReceipt({ window: 'w0', verdict: 'partial' })),
  'putCheckpoint of a first one': (store) => store.checkpoints.put(aCheckpoint({ session: 's2' })),
  'putCheckpoint in place of another': (store) =>
    store.checkpoints.put(aCheckpoint({}, aKvRecord({ blocks: [aBlock('cc')], kvBytes: 1 }))),
  deleteCheckpoint: (store) => store.checkpoints.delete(sessionId('s1')),
  pinWindow: (store) => store.windows.setPinned(windowName('w0'), true),
  deleteWindow: (store) => store.windows.delete(windowName('w0')),
  createLineage: (store) => store.lineages.create({ id: lineageId('l2'), salt: 'other', generation: 0 }),
  'saveState of a first state': (store) => store.states.save(sessionId('s2'), aState({ version: 1 }), 0),
  'saveState of another state': (store) => store.states.save(sessionId('s1'), aState({ version: 2 }), 1),
  'addRecoveryPoint to the first': (store) => store.states.addRecoveryPoint(aPoint('00000002')),
  'addRecoveryPoint to none': (store) => store.states.addRecoveryPoint(aPoint('00000002', { session: 's2' })),
  'restore of conversation and state': (store) =>
    store.states.restore(
      nextVersion(nextVersion(first), { branches: mainBranch(['m1']), prefixBreaks: 7 }),
      aState({ version: 2, data: { restored: true } }),
      1,
    ),
  'restore of a first state': (store) =>
    store.states.restore(nextVersion(aSession({ id: 's2' }), { prefixBreaks: 7 }), aState(), 0),
  'restore of a conversation alone': (store) =>
    store.states.restore(nextVersion(nextVersion(first), { prefixBreaks: 7 }), null, 1),
  setSelectedSessions: (store) => store.states.setSelectedSessions([sessionId('s2'), sessionId('s1')]),
  markImportedLineage: (store) => store.lineages.markImported(lineageId('l1')),
  advanceLineage: (store) => store.lineages.advance(lineageId('l1'), 0),
  setActiveSession: (store) => store.projects.setCurrentSession(project, sessionId('s1')),
};

/** Everything that {@link operations} can change, as a caller sees it; a failure is its code. */
export async function observe(store: FileStore): Promise<Record<string, unknown>> {
  const seen = async (read: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await read();
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };
  const state: Record<string, unknown> = {};
  for (const id of ['s1', 's2', 's3'].map(sessionId)) {
    state[id] = await seen(() => store.sessions.get(id));
    for (const message of ['m1', 'm2', 'm3'].map(messageId)) {
      state[`${id} ${message}`] = await seen(() => store.messages.load(id, [message]));
    }
    for (const ids of [someIds, [9, 9]]) {
      state[`${id} tokens ${ids.length}`] = await seen(() => store.sessions.loadTokens(id, contextTokens(ids).sha256));
    }
  }
  for (const id of ['s1', 's2'].map(sessionId)) {
    state[`${id} state`] = await seen(() => store.states.load(id));
    state[`${id} checkpoint`] = await seen(() => store.checkpoints.get(id));
    state[`${id} recovery points`] = await seen(() => store.states.recoveryPoints(id));
  }
  state['active states'] = await seen(() => store.states.selectedSessions());
  for (const name of ['w0', 'w1'].map(windowName)) {
    state[name] = await seen(() => store.windows.get(name));
    state[`${name} tokens`] = await seen(() => store.windows.loadTokens(name));
    state[`${name} kv`] = await seen(() => store.windows.loadKv(name));
    state[`${name} pinned`] = await seen(() => store.windows.isPinned(name));
    state[`${name} receipts`] = await seen(() => store.receipts.list(name));
  }
  for (const id of ['l1', 'l2'].map(lineageId)) state[id] = await seen(() => store.lineages.get(id));
  state['project'] = await seen(() => store.projects.currentSession(project));
  state['sessions'] = await seen(() => store.sessions.list(sessionsQuery()));
  state['windows'] = await seen(() => store.windows.list(windowsQuery()));
  return state;
}
