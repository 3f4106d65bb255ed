import { join } from 'node:path';
import { makeCore, type Core } from '../../src/core/core.ts';
import { defaultLimits } from '../../src/core/space/limits.ts';
import { makeSpace, type Space } from '../../src/core/space/space.ts';
import type { TrashItem } from '../../src/protocol/schemas/space.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { SessionId, WindowName } from '../../src/protocol/ids.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import type { Files } from '../../src/store/disk/files.ts';
import { openStore } from '../../src/store/openStore.ts';
import { BlockFiles } from '../../src/store/space/blockFiles.ts';
import { FakeEngine } from '../core/fakeEngine.ts';
import { projectUri, windowName } from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { FakeClock } from './testStore.ts';

export const root = '/home/me/store';
export const project = 'file:///p';
const never = new AbortController().signal;

/** The product without its processes: the core over the real store over these files. */
export interface World {
  readonly cwm: Core;
  readonly store: FileStore;
  readonly space: Space;
  readonly engine: FakeEngine;
  readonly signal: AbortSignal;
}

/** As a backend does when it starts: the store recovers, then turns that were cut short. */
export async function openWorld(files: Files, engine = new FakeEngine()): Promise<World> {
  const clock = new FakeClock();
  const store = await openStore({ directory: root, clock, files });
  const blocks = new BlockFiles(files, join(root, 'kv'));
  const limits = { ...defaultLimits, kvBudgetBytes: null, graceMs: 0 };
  engine.kind = 'embedded';
  const engines = {
    defaultSpec: engine.spec,
    get: () => engine,
    status: () => Promise.reject(new Error('not needed by the core')),
  };
  const file = { path: 'a.ts', text: 'export const a = 1;\n' };
  const reader = { read: () => Promise.resolve({ files: [file], skipped: [] }) };
  // Those that nobody asks for would change files behind the operation whose changes are counted.
  const checkpoints = { enabled: false };
  const changes = { emit: () => undefined };
  const cwm = makeCore({ store, engines, files: reader, clock, changes, blocks, limits, checkpoints });
  await cwm.recover();
  const space = makeSpace({ store, engines }, blocks, clock, { ...limits, kvBudgetBytes: 1 });
  return { cwm, store, engine, signal: never, space };
}

/**
 * Session `s` with turns, a state and a recovery point from before its second turn, a window `w` of it, a clone `c`, and the pinned window `p`; session `f`, frozen as `fw`; in the trash, a
 * session and a window of `s`; and a file for each block.
 */
export async function filledFiles(): Promise<MemoryFiles> {
  const memory = new MemoryFiles();
  const { cwm, store, signal } = await openWorld(memory);
  for (const id of ['s', 'f', 'gone']) {
    await cwm.createSession({ id, project });
    await cwm.send({ session: id, text: `What is a prefix cache good for, ${id}?` }, signal);
  }
  for (const window of ['w', 'p', 'dropped']) {
    await cwm.freeze({ session: 's', window, checkpoint: true }, signal);
    await cwm.send({ session: 's', text: `And after ${window}?` }, signal);
  }
  await cwm.createBranch({ session: 's', name: 'side', at: (await cwm.listMessages({ session: 's' })).items[1]!.id });
  await cwm.send({ session: 's', text: 'On the side?' }, signal);
  await cwm.updateBranch({ session: 's', branch: 'main' });
  await cwm.updateState({ session: 's', version: 1, data: { goal: 'ice' } });
  await cwm.clone({ window: 'w', target: 'c' }, signal);
  await cwm.pinWindow({ window: 'p', pinned: true });
  await cwm.freeze({ session: 'f', window: 'fw' }, signal);
  await cwm.deleteWindow({ window: 'dropped', keepBlocks: true }, signal);
  await cwm.deleteSession({ session: 'gone' }, signal);
  for (const name of ['w', 'p', 'c', 'fw']) {
    for (const { hash } of (await store.windows.loadKv(windowName(name))).blocks) {
      const path = blockPath(hash);
      if ((await memory.stat(path)) !== null) continue;
      await memory.makeDirectory(join(path, '..'));
      await memory.create(path, Buffer.from(hash));
    }
  }
  await store.close();
  return memory.copy();
}

const blockPath = (hash: string): string => join(root, 'kv', '0'.repeat(32), hash.slice(0, 2), `${hash}.kv`);

/**
 * What users see, without what differs from run to run: receipts, verdicts and recovery points are left out, since what was done holds
 * without. Of the trash, not what is also in its place (a deletion that a power cut undid) or was never acknowledged (`n`, which a failure took back).
 */
export async function look({ store }: World): Promise<object> {
  const sessions: Record<string, object> = {};
  for (const id of await store.sessions.ids()) sessions[id] = await sessionOf(store, id);
  const windows: Record<string, object> = {};
  for (const name of await store.windows.names()) windows[name] = await windowOf(store, name);
  const isGone = ({ name }: TrashItem): boolean => name !== 'n' && !(name in sessions) && !(name in windows);
  const trash = (await store.trash.list()).filter(isGone).map(({ kind, name }) => `${kind} ${name}`);
  return {
    sessions,
    windows,
    trash: [...new Set(trash)].sort(),
    active: await store.projects.currentSession(projectUri(project)),
  };
}

async function sessionOf(store: FileStore, id: SessionId): Promise<object> {
  const session = await store.sessions.get(id);
  if (!session) throw new CwmError('Corrupted', `Session "${id}" is listed and not there.`);
  const { lifecycle, draft, frozenAs, thawedFrom, tokens, expiresAt = null } = session;
  const branches: Record<string, string[]> = {};
  for (const { name, head } of Object.values(session.branches)) {
    branches[name] = (await store.messages.load(id, await store.messages.chain(id, head))).map(wordsOf);
  }
  const ids = tokens && (await store.sessions.loadTokens(id, tokens.sha256));
  const state = await store.states.load(id);
  return {
    lifecycle,
    title: session.title,
    activeBranch: session.activeBranch,
    expiresAt,
    draft,
    frozenAs,
    thawedFrom: thawedFrom?.window,
    ids,
    branches,
    state: state && state.data,
  };
}

async function windowOf(store: FileStore, name: WindowName): Promise<object> {
  const manifest = await store.windows.get(name);
  if (!manifest) throw new CwmError('Corrupted', `Window "${name}" is listed and not there.`);
  const { session, mode, parentWindow, messageIds } = manifest;
  const words = (await store.messages.load(session, messageIds)).map(wordsOf);
  const ids = await store.windows.loadTokens(name);
  const { blocks } = await store.windows.loadKv(name);
  const pinned = await store.windows.isPinned(name);
  return { session, mode, parentWindow, words, ids, pinned, blocks: blocks.length };
}

const wordsOf = ({ content }: Message): string => JSON.stringify(content);
