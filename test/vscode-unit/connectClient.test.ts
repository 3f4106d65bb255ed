import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import type { RouteInput, RouteName } from '../../src/protocol/api.ts';
import type { App } from '../../src/vscode/app.ts';
import { connectClient, disconnectClient } from '../../src/vscode/commands/backend/connectClient.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const editor = vi.hoisted(() => ({
  /** Whether the user presses the button of a question. */
  agrees: true,
  /** Each message with its buttons. */
  shown: [] as string[],
  reported: [] as string[],
  diffs: [] as string[],
}));

vi.mock('vscode', () => ({
  UIKind: { Desktop: 1, Web: 2 },
  ProgressLocation: { Notification: 1 },
  Uri: { from: ({ path, query }: { path: string; query: string }) => ({ toString: () => `${path}?${query}` }) },
  env: { uiKind: 1, clipboard: { writeText: async () => undefined } },
  commands: {
    executeCommand: async (id: string, ...[left, right, title]: unknown[]) => {
      if (id === 'vscode.diff') editor.diffs.push([left, right, title].map(String).join(' | '));
    },
  },
  window: {
    showInformationMessage: async (text: string, ...buttons: string[]) => {
      editor.shown.push([text, ...buttons].join(' | '));
      return editor.agrees && /^(Set|Make) /.test(text) ? buttons[0] : undefined;
    },
    showErrorMessage: async (text: string) => void editor.shown.push(text),
    withProgress: (_options: object, work: (...given: unknown[]) => unknown) =>
      work(
        { report: ({ message }: { message: string }) => editor.reported.push(message) },
        { onCancellationRequested: () => ({ dispose: () => undefined }) },
      ),
  },
}));

const makeDirectory = temporaryDirectories();
const codexFile = (home: string): string => path.join(home, '.codex', 'config.toml');

/** A backend with a gateway, and what it was asked to change. */
function appOf(userFiles: string) {
  const changes: [RouteName, object][] = [];
  let token: string | null = null;
  let requests = 0;
  const call = async (route: RouteName, input: RouteInput<RouteName>): Promise<object> => {
    switch (route) {
      case 'gatewayClients':
        if (token === null) return { url: null, items: [] };
        // The client's first request, which comes once it has its token, is refused, and its second one is answered.
        requests++;
        return {
          url: null,
          items: [
            { name: 'codex', createdAt: 'now', answers: requests - 1, failures: 1, lastFailure: '404: No such model.' },
          ],
        };
      case 'openGateway':
        return { url: 'http://127.0.0.1:8765' };
      case 'listModels':
        return { engine: 'e', used: 'm', models: [{ id: 'gemma', use: 'chat' }], notices: [] };
      case 'health':
        return { engines: [{ spec: 'e', maxModelLen: 40_000 }] };
      default:
        changes.push([route, input]);
        token = route === 'putGatewayClient' ? 'SECRET' : null;
        return { token };
    }
  };
  const app = {
    connection: { call },
    context: { globalStorageUri: { fsPath: path.join(userFiles, 'User', 'globalStorage', 'cwm') } },
    reports: { change: null },
    state: { current: { operations: [] }, update: () => undefined },
    puller: { settled: async () => undefined },
    log: { error: (...said: unknown[]) => editor.shown.push(said.join(' ')), warn: () => undefined },
  };
  return { app: app as unknown as App, changes };
}

beforeEach(() => {
  Object.assign(editor, { agrees: true, shown: [], reported: [], diffs: [] });
  const home = makeDirectory();
  vi.stubEnv('HOME', home);
});

test('shows the change in the diff editor, makes it on yes with a token of its own, and says that the client works', async () => {
  const home = process.env['HOME'] ?? '';
  const { app, changes } = appOf(home);
  expect(await connectClient(app, { client: 'codex' })).toMatchObject({ kind: 'done' });
  expect(editor.diffs).toEqual([expect.stringMatching(/^\/change\/config\.toml\?before\/\d+ \| .*new file/)]);
  expect(app.reports.change?.after).toContain('"TOKEN"');
  expect(readFileSync(codexFile(home), 'utf8')).toContain('"SECRET"');
  expect(changes).toEqual([['putGatewayClient', { name: 'codex' }]]);
  const last = 'Codex works: its request was answered. | Start at Login…';
  await eventually(() => expect(editor.shown).toContain(last));
  expect(editor.reported).toEqual(['Codex asked, and got an error: 404: No such model.']);
  expect(editor.shown).toContainEqual(expect.stringMatching(/^Run: codex .* \| Copy Command \| Start at Login…$/));
});

test('changes nothing where the user closes the question', async () => {
  const home = process.env['HOME'] ?? '';
  editor.agrees = false;
  const { app, changes } = appOf(home);
  expect(await connectClient(app, { client: 'codex' })).toEqual({ kind: 'cancelled' });
  expect([existsSync(codexFile(home)), changes]).toEqual([false, []]);
});

test('makes a token for a client without a file only on yes', async () => {
  const { app, changes } = appOf(process.env['HOME'] ?? '');
  editor.agrees = false;
  expect(await connectClient(app, { client: 'curl' })).toEqual({ kind: 'cancelled' });
  expect([editor.shown, changes]).toEqual([['Make a token for curl? | Make a Token'], []]);
});

test("writes VS Code's own models beside the settings of this VS Code, and takes them out again", async () => {
  const home = process.env['HOME'] ?? '';
  const { app, changes } = appOf(home);
  await connectClient(app, { client: 'vscode', confirmed: true });
  const file = path.join(home, 'User', 'chatLanguageModels.json');
  expect(readFileSync(file, 'utf8')).toContain('"maxInputTokens": 31808');
  expect(readFileSync(file, 'utf8')).toContain('http://127.0.0.1:8765/t/SECRET/v1/chat/completions');
  await disconnectClient(app, { client: 'vscode' });
  expect(existsSync(file)).toBe(false);
  expect(changes.map(([route]) => route)).toEqual(['putGatewayClient']);
});
