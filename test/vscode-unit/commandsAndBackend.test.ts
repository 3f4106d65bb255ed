import { expect, test, vi } from 'vitest';
import { BackendClient } from '../../src/client/backendClient.ts';
import type { App } from '../../src/vscode/app.ts';
import { send } from '../../src/vscode/commands/sessions/send.ts';
import { deleteSession } from '../../src/vscode/commands/sessions/deleteSession.ts';
import { setExpiry } from '../../src/vscode/commands/sessions/setExpiry.ts';
import { freeze } from '../../src/vscode/commands/windows/freeze.ts';
import { thawCopy } from '../../src/vscode/commands/windows/thaw.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Conversations } from '../../src/vscode/documents/conversations.ts';
import { followBackend } from '../../src/vscode/following/followBackend.ts';
import { Puller } from '../../src/vscode/following/puller.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { challengePath } from '../../src/protocol/backendRecord.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { socketProxy } from '../support/socketProxy.ts';
import { until } from '../support/until.ts';

/** What the user chooses from a list, and types. */
const user = vi.hoisted(() => ({ picks: '', types: '' }));

/** As much of the editor as a command of this test touches. */
vi.mock('vscode', () => ({
  ProgressLocation: { Notification: 15 },
  Uri: { from: (parts: object) => parts },
  window: {
    showInformationMessage: async () => undefined,
    showWarningMessage: async () => undefined,
    showErrorMessage: async () => undefined,
    showQuickPick: async (items: { label: string }[]) => items.find(({ label }) => label === user.picks),
    showInputBox: async () => user.types,
    withProgress: (_: object, task: (progress: object, token: object) => unknown) =>
      task({ report: () => undefined }, { onCancellationRequested: () => ({ dispose: () => undefined }) }),
  },
  workspace: { getConfiguration: () => ({ get: () => 64 }) },
}));

const start = wholeBackends();
const project = { kind: 'folder', uri: parseProjectUri('file:///home/me/project'), name: 'project' } as const;

/** The extension without its views, connected to a real backend through a proxy that counts. */
async function editor() {
  const { backend, client } = await start();
  const session = await client.call('createSession', { title: 'Chat', project: project.uri });
  const proxy = await socketProxy(backend.record.address);
  const { record } = backend;
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
  const behindProxy = new BackendClient({ start: async () => record, find: async () => record });
  const connection = new BackendConnection(async () => behindProxy, state, fail);
  const puller = new Puller(connection, state, () => session.engine, fail);
  const conversations = new Conversations(connection, fail);
  const log = { warn: fail, error: fail, info: () => undefined };
  const documents = { refresh: () => undefined };
  const readings = { show: () => void conversations.text(session.id).catch(() => undefined), isVisible: () => true };
  const parts = {
    state,
    connection,
    puller,
    conversations,
    documents,
    readings,
    log,
    project: { settled: Promise.resolve() },
  };
  const app = parts as unknown as App;
  followBackend(app);
  conversations.onChange((id) => void conversations.text(id).catch(() => undefined));
  state.update({ project });
  let heard = 0;
  connection.onChange(() => heard++);
  await connection.open();
  // One at the connection, one when the stream of signals is open.
  await until('the signals are heard', () => heard >= 2);
  await puller.settled();
  expect(state.current.currentSession).toMatchObject({ kind: 'session', session: { id: session.id } });

  /** Requests, and the bytes that crossed in both directions, while a message is sent. */
  const cost = async (text: string) => {
    const before = proxy.crossed().length;
    const result = await send(app, { text });
    if (result.kind !== 'done') throw new Error(JSON.stringify(result));
    const shown = await conversations.text(session.id);
    const crossed = proxy.crossed().slice(before);
    const requests = [...crossed.matchAll(/(?:GET|POST|DELETE) \/api\S* HTTP/g)]
      .map(([request]) => request)
      .filter((request) => !request.includes(challengePath));
    return { answer: result.value.text, shown, requests, crossed };
  };
  return { app, cost, client, session, state, puller };
}

const timesIn = (text: string, part: string): number => text.split(part).length - 1;

test('a message costs the editor at most four requests, and its answer crosses the socket once', async () => {
  const { cost, client, session, state } = await editor();
  for (const text of ['Please explain what a prefix cache is good for.', 'And what does it cost?']) {
    const { answer, shown, requests, crossed } = await cost(text);
    expect(requests.length, requests.join('; ')).toBeLessThanOrEqual(4);
    expect(answer.length).toBeGreaterThan(20);
    const pieces = [...crossed.matchAll(/"type":"text","text":("(?:[^"\\]|\\.)*")/g)];
    expect(pieces.map(([, piece]) => JSON.parse(piece ?? '') as string).join('')).toBe(answer);
    expect(timesIn(crossed, JSON.stringify(answer).slice(1, -1))).toBeLessThanOrEqual(1);
    expect(shown).toContain(`## Model\n\n${answer.trim()}`);
    expect(timesIn(shown, text)).toBe(1);
    const stored = await client.call('getSession', { session: session.id });
    expect(state.current.currentSession).toMatchObject({ session: { phase: 'Idle', version: stored.version } });
  }
});

test('the first message to a conversation that is not open yet costs at most four requests', async () => {
  const { cost, client, session, state, puller } = await editor();
  await client.call('send', { session: session.id, text: 'from elsewhere' });
  await until('the editor shows that turn', async () => {
    await puller.settled();
    const { currentSession, engine } = state.current;
    return currentSession.kind === 'session' && currentSession.session.tokens !== null && engine.kind === 'reachable';
  });
  const { requests, shown } = await cost('And what does it cost?');
  expect(requests.length, requests.join('; ')).toBeLessThanOrEqual(4);
  expect(shown).toContain('from elsewhere');
});

test('a message that another client sends at the same time is shown too', async () => {
  const { cost, client, session } = await editor();
  await cost('one');
  await client.call('send', { session: session.id, text: 'two from elsewhere' });
  const { shown } = await cost('three');
  for (const text of ['one', 'two from elsewhere', 'three']) expect(timesIn(shown, `## You\n\n${text}\n`)).toBe(1);
});

test('when a command has ended, the editor shows what it changed: no command fetches for itself', async () => {
  const { app, cost, session, state } = await editor();
  await cost('one');
  state.update({ windows: new Map([[session.id, { kind: 'loaded', items: [], total: 0 }]]) });
  expect(await freeze(app, { name: 'w' })).toMatchObject({ kind: 'done' });
  expect(state.current.currentSession).toMatchObject({
    session: { id: session.id, lifecycle: 'frozen', frozenAs: 'w' },
  });
  expect(state.current.windows.get(session.id)).toMatchObject({ items: [{ name: 'w' }] });

  const thawed = await thawCopy(app, { window: 'w' });
  if (thawed.kind !== 'done') throw new Error(JSON.stringify(thawed));
  expect(state.current.currentSession).toMatchObject({ session: { id: thawed.value.session, lifecycle: 'thawed' } });
  expect(state.current.sessions).toMatchObject({ total: 2 });

  expect(await deleteSession(app, { session: thawed.value.session, confirmed: true })).toMatchObject({ kind: 'done' });
  expect(state.current).toMatchObject({ currentSession: { kind: 'none' }, sessions: { total: 1 } });
});

test.each([
  ['In 7 days', '', 7 * 24],
  ['After another time…', ' 12h ', 12],
])('S0-30 a session expires when the user says: %s%s', async (picks, types, hours) => {
  const { app, session, state } = await editor();
  Object.assign(user, { picks, types });
  const before = Date.now();
  const result = await setExpiry(app, { session: session.id });
  if (result.kind !== 'done') throw new Error(JSON.stringify(result));
  const afterMs = Date.parse(result.value.expiresAt ?? '') - hours * 3_600_000;
  expect(afterMs).toBeGreaterThanOrEqual(before);
  expect(afterMs).toBeLessThanOrEqual(Date.now());
  expect(state.current.currentSession).toMatchObject({ session: { expiresAt: result.value.expiresAt } });

  user.picks = 'Never';
  const never = await setExpiry(app, {});
  expect(never).toMatchObject({ kind: 'done', value: { id: session.id } });
  expect(state.current.currentSession).not.toHaveProperty('session.expiresAt');
});

test('S0-30 an expiry of the past is refused, and a user who chooses none changes nothing', async () => {
  const { app, client, session } = await editor();
  Object.assign(app.log, { error: () => undefined });
  const expiresAt = '2020-01-01T00:00:00Z';
  expect(await setExpiry(app, { expiresAt })).toMatchObject({ kind: 'failed', error: { code: 'CWM-1003' } });
  user.picks = 'none of them';
  expect(await setExpiry(app, {})).toEqual({ kind: 'cancelled' });
  expect(await client.call('getSession', { session: session.id })).toEqual(session);
});
