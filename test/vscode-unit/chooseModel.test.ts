import { beforeEach, expect, test, vi } from 'vitest';
import type { RouteOutput } from '../../src/protocol/api.ts';
import type { App } from '../../src/vscode/app.ts';
import { chooseModel } from '../../src/vscode/commands/backend/chooseModel.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

interface Row {
  readonly label: string;
  readonly description: string;
}

const editor = vi.hoisted(() => ({
  engine: '',
  workspaceValue: undefined as string | undefined,
  updates: [] as unknown[],
  /** The labels that the user accepts, one after another; then the user closes the list. */
  accepts: [] as string[],
  rows: [] as readonly Row[],
}));

vi.mock('vscode', () => ({
  ConfigurationTarget: { Global: 'user', Workspace: 'workspace' },
  window: {
    showInformationMessage: async () => undefined,
    showErrorMessage: async () => undefined,
    createQuickPick: () => {
      let onAccept = (): void => undefined;
      let onHide = (): void => undefined;
      const pick = {
        items: [] as readonly Row[],
        selectedItems: [] as Row[],
        onDidAccept: (listener: () => void) => (onAccept = listener),
        onDidHide: (listener: () => void) => (onHide = listener),
        show() {
          editor.rows = pick.items;
          for (const label of editor.accepts) {
            pick.selectedItems = pick.items.filter((item) => item.label === label);
            onAccept();
          }
          onHide();
        },
        dispose: () => undefined,
      };
      return pick;
    },
  },
  workspace: {
    getConfiguration: () => ({
      get: () => editor.engine,
      inspect: () => ({ workspaceValue: editor.workspaceValue }),
      update: async (...update: unknown[]) => void editor.updates.push(update),
    }),
  },
}));

const served: RouteOutput<'listModels'> = {
  engine: 'http://h:1',
  used: 'qwen3:4b',
  models: [
    { id: 'bge-m3', use: 'other' },
    { id: 'openai/*', use: 'unknown' },
    { id: 'qwen3:4b', use: 'chat' },
    { id: 'gemma3', use: 'unknown' },
  ],
  notices: [],
};

function anApp() {
  const connection = new FakeBackend({
    listModels: () => served,
    health: () => ({ ...healthAnswer, defaultEngine: 'http://h:1' }),
    useEngine: (input) => input,
  });
  const ignore = (): undefined => undefined;
  const app = { connection, log: { error: ignore, warn: ignore }, puller: { settled: async () => undefined } };
  return { app: app as unknown as App, asked: connection.asked };
}

beforeEach(() => {
  Object.assign(editor, { engine: 'http://h:1', workspaceValue: undefined, updates: [], accepts: [], rows: [] });
});

test('the picked model becomes a part of the model server that the user set', async () => {
  editor.engine = 'http://h:1#tier=/var/kv';
  editor.accepts = ['gemma3'];
  expect(await chooseModel(anApp().app, {})).toMatchObject({ kind: 'done' });
  expect(editor.updates).toEqual([['cwm.engine', 'http://h:1#tier=/var/kv&model=gemma3', 'user']]);
});

test('models for conversations come first, and the used one is marked', async () => {
  expect(await chooseModel(anApp().app, {})).toEqual({ kind: 'cancelled' });
  expect(editor.rows.map(({ label, description }) => `${label}: ${description}`)).toEqual([
    'qwen3:4b: used',
    'gemma3: ',
    'bge-m3: not for conversations',
    'openai/*: a family: name one of its models in the setting',
  ]);
});

test('an embedding model and a family cannot be picked, and the list stays open', async () => {
  editor.accepts = ['bge-m3', 'openai/*'];
  expect(await chooseModel(anApp().app, {})).toEqual({ kind: 'cancelled' });
  expect(editor.updates).toEqual([]);
  editor.accepts = ['bge-m3', 'openai/*', 'qwen3:4b'];
  expect(await chooseModel(anApp().app, {})).toMatchObject({ kind: 'done' });
  expect(editor.updates).toEqual([['cwm.engine', 'http://h:1#model=qwen3%3A4b', 'user']]);
});

test('a server that no longer serves the named model still lists the others', async () => {
  editor.engine = 'http://h:1#model=gone%2Fmodel';
  editor.accepts = ['gemma3'];
  const { app, asked } = anApp();
  await chooseModel(app, {});
  expect(asked).toEqual([{ route: 'listModels', input: { engine: 'http://h:1' } }]);
  expect(editor.rows.map(({ description }) => description)).not.toContain('used');
  expect(editor.updates).toEqual([['cwm.engine', 'http://h:1#model=gemma3', 'user']]);
});

test('a workspace that names the server gets the model too', async () => {
  editor.workspaceValue = editor.engine;
  await chooseModel(anApp().app, { model: 'gemma3' });
  expect(editor.updates).toEqual([['cwm.engine', 'http://h:1#model=gemma3', 'workspace']]);
});

test('the embedded model server has nothing to choose, and says what to do instead', async () => {
  editor.engine = 'embedded';
  const { app, asked } = anApp();
  expect(await chooseModel(app, {})).toMatchObject({ kind: 'failed', error: { code: 'CWM-1003' } });
  expect(asked).toEqual([]);
});

test('without a value of the setting the store has the choice for all clients, and the setting stays empty', async () => {
  editor.engine = '';
  editor.accepts = ['gemma3'];
  const { app, asked } = anApp();
  expect(await chooseModel(app, {})).toMatchObject({ kind: 'done' });
  expect(asked).toEqual([
    { route: 'health', input: {} },
    { route: 'listModels', input: { engine: 'http://h:1' } },
    { route: 'useEngine', input: { engine: 'http://h:1#model=gemma3' } },
  ]);
  expect(editor.updates).toEqual([]);
});
