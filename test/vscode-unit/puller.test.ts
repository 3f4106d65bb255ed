import { describe, expect, test } from 'vitest';
import type { EngineStatus } from '../../src/protocol/schemas/health.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Puller, pageSize } from '../../src/vscode/following/puller.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { sessionId } from '../support/ids.ts';
import { aSession, aWindow } from './builders.ts';
import { FakeBackend, healthAnswer, page } from './fakeBackend.ts';

const project = { kind: 'folder', uri: parseProjectUri('file:///home/me/project'), name: 'project' } as const;

async function pullerOf(backend: FakeBackend, ofSetting: string | null = 'embedded') {
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
  const connection = new BackendConnection(async () => backend, state, fail);
  const problems: string[] = [];
  const puller = new Puller(
    connection,
    state,
    () => ofSetting,
    (error) => problems.push(error.code),
  );
  await connection.open();
  return { state, puller, problems, connection };
}

const anEngine = (changes: Partial<EngineStatus>): EngineStatus => ({
  spec: 'embedded',
  reachable: true,
  kind: 'embedded',
  version: '0.1.0',
  model: 'tiny',
  maxModelLen: 8192,
  blockTokens: 16,
  pid: 42,
  url: null,
  problem: null,
  notices: [],
  ...changes,
});

describe('fetching what the views show', () => {
  test('V4 the last session of the folder becomes the current one', async () => {
    const backend = new FakeBackend({ currentSession: () => ({ session: aSession() }) });
    const { state, puller } = await pullerOf(backend);
    state.update({ project });
    await puller.currentSession();
    expect(state.current.currentSession).toMatchObject({ kind: 'session', session: { id: 'session-1' } });
    expect(backend.asked.at(-1)?.input).toEqual({ project: project.uri });
  });

  test('an answer for a folder that is no longer open is not shown', async () => {
    const late = Promise.withResolvers<{ session: ReturnType<typeof aSession> }>();
    const { state, puller } = await pullerOf(new FakeBackend({ currentSession: () => late.promise }));
    state.update({ project });
    const pulled = puller.currentSession();
    await Promise.resolve();
    await Promise.resolve();
    state.update({ project: { kind: 'none' }, currentSession: { kind: 'none' } });
    late.resolve({ session: aSession() });
    await pulled;
    expect(state.current.currentSession).toEqual({ kind: 'none' });
  });

  test('without a folder the current session stays up to date, and is forgotten when it was deleted', async () => {
    let exists = true;
    const { state, puller } = await pullerOf(
      new FakeBackend({
        getSession: async ({ session }) => {
          if (exists) return aSession({ id: session, title: 'fresh' });
          throw new (await import('../../src/protocol/errors.ts')).CwmError('SessionNotFound', 'gone');
        },
      }),
    );
    state.update({ currentSession: { kind: 'session', session: aSession() } });
    await puller.currentSession();
    expect(state.current.currentSession).toMatchObject({ session: { title: 'fresh' } });
    exists = false;
    await puller.currentSession();
    expect(state.current.currentSession).toEqual({ kind: 'none' });
  });

  test('V2 lists are fetched in pages of 100, and one page more when it is asked for', async () => {
    const all = Array.from({ length: 250 }, (_, index) => aWindow({ name: `w${index}` }));
    const backend = new FakeBackend({
      listWindows: ({ limit, offset }) => {
        const from = Number(offset);
        const items = all.slice(from, from + Number(limit));
        return { items, total: all.length, hasMore: from + items.length < all.length };
      },
    });
    const { state, puller } = await pullerOf(backend);
    const shown = (): number => {
      const listing = state.current.windows.get('session-1');
      return listing?.kind === 'loaded' ? listing.items.length : -1;
    };
    await puller.windows('session-1');
    expect(shown()).toBe(pageSize);
    await puller.more({ session: 'session-1' });
    expect(shown()).toBe(2 * pageSize);
    await puller.more({ session: 'session-1' });
    expect(shown()).toBe(250);
    await puller.follow({ type: 'window', window: 'w1' });
    expect(shown()).toBe(250);
  });

  test('a session made between two pages brings no row twice: VS Code refuses the whole tree then', async () => {
    const all = Array.from({ length: 150 }, (_, index) => aSession({ id: `s${index}` }));
    const backend = new FakeBackend({
      listSessions: ({ limit, offset }) => {
        const from = Number(offset);
        const items = all.slice(from, from + Number(limit));
        all.unshift(aSession({ id: `new${all.length}` }));
        return { items, total: all.length, hasMore: from + items.length < all.length };
      },
    });
    const { state, puller } = await pullerOf(backend);
    await puller.more({});
    const { sessions } = state.current;
    const ids = sessions.kind === 'loaded' ? sessions.items.map(({ id }) => id) : [];
    expect(ids.length).toBeGreaterThan(pageSize);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('changes that come in a burst are fetched twice, not once each, and the last one is in the result', async () => {
    let title = 'first';
    const backend = new FakeBackend({
      listSessions: async () => {
        await Promise.resolve();
        return page([aSession({ title })]);
      },
    });
    const { state, puller } = await pullerOf(backend);
    const pulls = Array.from({ length: 20 }, () => puller.sessions());
    title = 'last';
    await Promise.all(pulls);
    expect(backend.count('listSessions')).toBeLessThanOrEqual(2);
    expect(state.current.sessions).toMatchObject({ items: [{ title: 'last' }] });
  });

  test('a signal of a session costs one request, and none when its record is here already', async () => {
    let version = 4;
    const backend = new FakeBackend({
      listSessions: () => page([aSession({ version }), aSession({ id: 'other', version: 1 })]),
      currentSession: () => ({ session: aSession({ version }) }),
    });
    const { state, puller } = await pullerOf(backend);
    state.update({ project, currentSession: { kind: 'session', session: aSession({ version: 3 }) } });
    const signal = (changed: number, id = 'session-1'): Promise<void> =>
      puller.follow({ type: 'session', session: sessionId(id), version: changed });
    await signal(4);
    expect(state.current.currentSession).toMatchObject({ session: { version: 4 } });
    await signal(4);
    await signal(1, 'other');
    expect(backend.asked.map(({ route }) => route)).toEqual(['listSessions']);
    version = 5;
    await signal(5);
    expect(state.current).toMatchObject({
      currentSession: { session: { version } },
      sessions: { items: [{ version }, {}] },
    });
    expect(backend.asked).toHaveLength(2);
  });

  test('only a signal of the open project asks for its current session', async () => {
    const backend = new FakeBackend({ currentSession: () => ({ session: aSession({ id: 'b' }) }) });
    const { state, puller } = await pullerOf(backend);
    state.update({ project });
    await puller.follow({ type: 'project', project: parseProjectUri('file:///elsewhere') });
    expect(backend.asked).toEqual([]);
    void puller.follow({ type: 'project', project: project.uri });
    await puller.settled();
    expect(state.current.currentSession).toMatchObject({ session: { id: 'b' } });
    expect(backend.asked).toHaveLength(1);
  });

  test('a current session that the list does not show is asked for, and one that was deleted is forgotten', async () => {
    let current: ReturnType<typeof aSession> | null = aSession({ version: 2 });
    const backend = new FakeBackend({ listSessions: () => page([]), currentSession: () => ({ session: current }) });
    const { state, puller } = await pullerOf(backend);
    state.update({ project, currentSession: { kind: 'session', session: aSession() } });
    await puller.follow({ type: 'session', session: sessionId('session-1'), version: 2 });
    expect(state.current.currentSession).toMatchObject({ session: { version: 2 } });
    current = null;
    await puller.follow({ type: 'session', session: sessionId('session-1') });
    expect(state.current.currentSession).toEqual({ kind: 'none' });
  });

  test('in the scope of a folder only its sessions are asked for', async () => {
    const backend = new FakeBackend({ listSessions: () => page([]) });
    const { state, puller } = await pullerOf(backend);
    state.update({ project });
    await puller.sessions();
    expect(backend.asked.at(-1)?.input).toMatchObject({ project: project.uri });
    state.update({ scope: 'all' });
    await puller.sessions();
    expect(backend.asked.at(-1)?.input).not.toHaveProperty('project');
  });

  test('an engine that nobody has needed yet is not shown as down', async () => {
    let engines: EngineStatus[] = [];
    const { state, puller } = await pullerOf(new FakeBackend({ health: () => ({ ...healthAnswer, engines }) }));
    const kinds: string[] = [];
    for (const next of [
      [],
      [anEngine({ reachable: false })],
      [anEngine({ reachable: false, problem: { code: 'CWM-5001', message: 'no', hint: 'do' } })],
      [anEngine({})],
      [anEngine({ spec: 'http://other' })],
    ]) {
      engines = next;
      await puller.engine();
      kinds.push(state.current.engine.kind);
    }
    expect(kinds).toEqual(['unasked', 'unasked', 'down', 'reachable', 'unasked']);
  });

  test('without a setting, the engine is the one that the store has for all clients', async () => {
    const engines = [anEngine({}), anEngine({ spec: 'http://chosen:1', version: '9' })];
    const health = () => ({ ...healthAnswer, engines, defaultEngine: 'http://chosen:1' });
    const { state, puller } = await pullerOf(new FakeBackend({ health }), null);
    await puller.engine();
    expect(state.current.engine).toMatchObject({ kind: 'reachable', status: { spec: 'http://chosen:1' } });
  });

  test('a failure leaves what was shown and is reported; without a backend nothing is asked', async () => {
    const backend = new FakeBackend({ health: () => healthAnswer });
    const { state, puller, problems, connection } = await pullerOf(backend);
    state.update({ sessions: { kind: 'loaded', items: [aSession()], total: 1 } });
    await puller.sessions();
    expect(problems).toEqual(['CWM-2008']);
    expect(state.current.sessions).toMatchObject({ items: [{ id: 'session-1' }] });
    backend.die();
    const before = backend.asked.length;
    await puller.all();
    expect(backend.asked.length).toBe(before);
    expect(connection.isOpen).toBe(false);
  });
});
