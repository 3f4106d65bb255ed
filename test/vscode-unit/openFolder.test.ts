import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import type { ProjectResolution } from '../../src/protocol/schemas/projectConfig.ts';
import type { Warming } from '../../src/protocol/schemas/warming.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { FolderOpener, type BranchOf } from '../../src/vscode/following/openFolder.ts';
import { ViewState } from '../../src/vscode/state.ts';
import type { App } from '../../src/vscode/app.ts';
import { aReceipt, aSession } from './builders.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';
import { eventually } from '../support/eventually.ts';

const folder = (name: string) => ({ kind: 'folder', uri: parseProjectUri(`file:///home/me/${name}`), name }) as const;
const a = folder('a');
const b = folder('b');

const warming = (changes: Partial<Warming>): Warming => ({
  state: 'running',
  why: '',
  tokens: 8192,
  tokensBehind: 0,
  computeMs: null,
  kvBytes: null,
  loadMs: null,
  receipt: null,
  ...changes,
});

function opening(
  above?: ProjectResolution,
  mayRecord = { value: true },
  begun: Warming = warming({}),
  branch?: BranchOf,
) {
  const receipt = aReceipt({ operation: 'thaw', window: 'auto-session-1', verdict: 'proven' });
  const gate = { open: Promise.resolve() };
  const backend = new FakeBackend({
    health: () => healthAnswer,
    openProject: async ({ project }) => {
      await gate.open;
      return above
        ? { project: above.project ?? '', resolution: above, session: null, warming: null }
        : { project, session: aSession(), warming: begun };
    },
    openedProject: ({ project }) => ({ project, session: aSession(), warming: warming({ state: 'done', receipt }) }),
    closeProject: ({ project }) => ({ project, session: 'session-1', receipt: null, why: 'Nothing changed.' }),
  });
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
  const connection = new BackendConnection(async () => backend, state, fail);
  const errors: unknown[] = [];
  const log = { error: (...given: unknown[]) => errors.push(given) } as unknown as App['log'];
  const pulls: string[] = [];
  const puller = { all: async () => void pulls.push('all') };
  const opener = new FolderOpener({ state, connection, log, puller }, () => mayRecord.value, branch);
  const asked = () => backend.asked.map(({ route, input }) => [route, input]);
  return { gate, pulls, backend, state, connection, opener, errors, asked, receipt };
}

describe('S2-16 the folder that the user works in', () => {
  test('is opened without a record while the user does not trust it, and with one from then on', async () => {
    const mayRecord = { value: false };
    const { state, connection, opener, asked } = opening(undefined, mayRecord);
    state.update({ project: a });
    await connection.open();
    await eventually(() => expect(asked()).toEqual([['openProject', { project: a.uri, record: false }]]));
    mayRecord.value = true;
    opener.again();
    await eventually(() => expect(asked()).toHaveLength(2));
    expect(asked().at(-1)).toEqual(['openProject', { project: a.uri, record: true }]);
  });

  test('is opened with one git branch after the other, and not again where nothing changed', async () => {
    let gitBranch = 'main';
    const { backend, gate, state, connection, opener } = opening(undefined, undefined, undefined, () => ({
      gitBranch,
    }));
    const branches = () => backend.asked.map(({ input }) => (input as { readonly gitBranch?: string }).gitBranch);
    state.update({ project: a });
    await connection.open();
    await eventually(() => expect(branches()).toEqual(['main']));
    opener.again();
    await setImmediate();
    expect(branches()).toEqual(['main']);
    const { promise, resolve: answer } = Promise.withResolvers<void>();
    gate.open = promise;
    gitBranch = 'other';
    opener.again();
    await eventually(() => expect(branches()).toEqual(['main', 'other']));
    gitBranch = 'main';
    opener.again();
    await setImmediate();
    expect(branches()).toEqual(['main', 'other']);
    answer();
    await eventually(() => expect(branches()).toEqual(['main', 'other', 'main']));
  });

  test('is opened once the backend is there, and the receipt comes into the state by itself', async () => {
    const { backend, state, connection, asked, receipt } = opening();
    state.update({ project: a });
    expect(asked()).toEqual([]);
    await connection.open();
    await eventually(() => expect(asked()).toEqual([['openProject', { project: a.uri, record: true }]]));
    backend.emit({ type: 'project', project: b.uri });
    backend.emit({ type: 'project', project: a.uri });
    await eventually(() => expect(state.current.receipts.get('session-1')).toEqual(receipt));
    expect(backend.count('openedProject')).toBe(1);
  });

  test('leaves the one before when it changes', async () => {
    const { state, connection, asked } = opening();
    state.update({ project: a });
    await connection.open();
    state.update({ project: b });
    state.update({ receipts: new Map() });
    await eventually(() =>
      expect(asked()).toEqual([
        ['openProject', { project: a.uri, record: true }],
        ['openProject', { project: b.uri, leaving: a.uri, record: true }],
      ]),
    );
  });

  test('is the one where rapid switching ends: no folder in between is opened, and the first one is left', async () => {
    const { gate, state, connection, asked } = opening();
    const { promise, resolve: answer } = Promise.withResolvers<void>();
    gate.open = promise;
    state.update({ project: a });
    await connection.open();
    await eventually(() => expect(asked()).toHaveLength(1));
    for (const name of ['c', 'd', 'e', 'b']) {
      state.update({ project: folder(name) });
      await setImmediate();
    }
    answer();
    await eventually(() => expect(asked()).toHaveLength(2));
    await setImmediate();
    expect(asked()).toEqual([
      ['openProject', { project: a.uri, record: true }],
      ['openProject', { project: b.uri, leaving: a.uri, record: true }],
    ]);
  });

  test('V4 is followed by code that shows nothing by itself: the state has what came of it', () => {
    const place = path.join(import.meta.dirname, '../../src/vscode/following');
    for (const name of readdirSync(place))
      expect(readFileSync(path.join(place, name), 'utf8'), name).not.toMatch(
        /show\w*(Message|QuickPick|InputBox)|withProgress|from '\.\.\/ui\//,
      );
  });

  test('is shown as the project of the folder above that has the configuration', async () => {
    const { state, connection, opener, asked, pulls } = opening({
      tier: 'config',
      project: b.uri,
      name: 'The whole',
      id: null,
      configPath: '/b/.cwm/config.json',
    });
    state.update({ project: a });
    await connection.open();
    const whole = { kind: 'folder', uri: b.uri, name: 'The whole', opened: a.uri };
    await eventually(() => expect(state.current.project).toEqual(whole));
    expect(pulls).toEqual(['all']);
    await opener.close();
    expect(asked()).toEqual([
      ['openProject', { project: a.uri, record: true }],
      ['closeProject', { project: b.uri }],
    ]);
  });

  test('S2-12 is offered where the project does not switch by itself', async () => {
    const offered = warming({ state: 'ask', why: 'auto_switch is off.' });
    const { state, connection } = opening(undefined, undefined, offered);
    state.update({ project: a });
    await connection.open();
    await eventually(() => expect(state.current.warmings.get('session-1')).toEqual(offered));
  });

  test('is opened again at a backend that was started since', async () => {
    const { state, connection, backend } = opening();
    state.update({ project: a });
    await connection.open();
    backend.die();
    await connection.open();
    await eventually(() => expect(backend.count('openProject')).toBe(2));
  });

  test('is saved when the window closes, and no backend is started for that', async () => {
    const { state, connection, opener, asked, backend, errors } = opening();
    await opener.close();
    expect(asked()).toEqual([]);
    state.update({ project: a });
    await connection.open();
    await opener.close();
    expect(asked().at(-1)).toEqual(['closeProject', { project: a.uri }]);
    backend.die();
    await opener.close();
    expect(backend.count('closeProject')).toBe(1);
    expect(errors).toEqual([]);
  });
});
