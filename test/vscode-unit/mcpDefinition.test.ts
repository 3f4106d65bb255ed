import { beforeEach, expect, test, vi } from 'vitest';
import type { McpServerDefinitionProvider, McpStdioServerDefinition } from 'vscode';
import type { App } from '../../src/vscode/app.ts';
import { registerChat } from '../../src/vscode/chat/registerChat.ts';

type Provider = McpServerDefinitionProvider<McpStdioServerDefinition>;

const editor = vi.hoisted(() => ({
  provider: null as unknown,
  settings: {} as Record<string, unknown>,
  folders: [] as { readonly uri: { readonly scheme: string; readonly fsPath: string } }[],
}));

vi.mock('vscode', () => {
  const disposable = () => ({ dispose: () => undefined });
  return {
    EventEmitter: class {
      event = disposable;
    },
    McpStdioServerDefinition: class {
      args: string[];
      env: object;
      constructor(_label: string, _command: string, args: string[], env: object) {
        this.args = args;
        this.env = env;
      }
    },
    chat: { createChatParticipant: disposable },
    lm: {
      registerTool: disposable,
      registerLanguageModelChatProvider: disposable,
      registerMcpServerDefinitionProvider: (_id: string, provider: unknown) => {
        editor.provider = provider;
        return disposable();
      },
    },
    window: {},
    workspace: {
      getConfiguration: () => ({ get: (id: string) => editor.settings[id] }),
      onDidChangeConfiguration: disposable,
      get workspaceFolders() {
        return editor.folders;
      },
    },
  };
});

const token = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose: () => undefined }) };
const secrets = new Map([['cwm.apiKey:http://h:1', 'KEY']]);
let defaultEngine: () => string;
let opened = 0;
const app = {
  context: { secrets: { get: async (name: string) => secrets.get(name) } },
  connection: { open: async () => void opened++, call: async () => ({ defaultEngine: defaultEngine() }) },
  state: { render: () => ({ dispose: () => undefined }) },
};

/** What VS Code starts. */
async function started(): Promise<McpStdioServerDefinition> {
  registerChat(app as unknown as App);
  const provider = editor.provider as Provider;
  const [offered] = (await provider.provideMcpServerDefinitions(token)) ?? [];
  if (!offered) throw new Error('VS Code is offered no server.');
  expect(Object.keys(offered.env)).toEqual(['ELECTRON_RUN_AS_NODE']);
  const resolved = await provider.resolveMcpServerDefinition?.(offered, token);
  if (!resolved) throw new Error('VS Code starts no server.');
  return resolved;
}

beforeEach(() => {
  editor.settings = { 'cwm.chatTools': 'mcp', 'cwm.storageDirectory': '/store', 'cwm.engine': '' };
  editor.folders = [];
  defaultEngine = () => 'http://h:1#slots=/x';
});

test('VS Code starts the MCP server in the open folder, with the stored key of the model server of new sessions and of no other', async () => {
  editor.folders = [{ uri: { scheme: 'file', fsPath: '/home/me/app' } }];
  const server = await started();
  expect(server.cwd?.fsPath).toBe('/home/me/app');
  expect(server.env).toMatchObject({ CWM_API_KEY: 'KEY', CWM_API_KEY_FOR: 'http://h:1#slots=/x' });
  expect(server.args).not.toContain('--engine');
  editor.settings['cwm.engine'] = 'http://other:1';
  expect((await started()).env).not.toHaveProperty('CWM_API_KEY');
});

test('the backend is there before it, with the settings of the window and without the key, also where the setting names the model server', async () => {
  editor.settings['cwm.engine'] = 'http://h:1#slots=/x';
  opened = 0;
  expect((await started()).env).toHaveProperty('CWM_API_KEY');
  expect(opened).toBe(1);
});

test('it starts also without a folder on a disk, and where no backend can say which model server is used', async () => {
  editor.folders = [{ uri: { scheme: 'vscode-vfs', fsPath: '/github/app' } }];
  defaultEngine = () => {
    throw new Error('No backend.');
  };
  const server = await started();
  expect([server.cwd, Object.keys(server.env)]).toEqual([undefined, ['ELECTRON_RUN_AS_NODE']]);
});
