import {
  chat,
  EventEmitter,
  lm,
  McpStdioServerDefinition,
  workspace,
  type ChatRequestHandler,
  type Disposable,
  type LanguageModelChatProvider,
  type LanguageModelTool,
} from 'vscode';
import { mainToolNames, type MainToolName } from '../../agent/toolNames.ts';
import { entryPointPath } from '../../base/entryPoint.ts';
import { productVersion } from '../../protocol/version.ts';
import type { App } from '../app.ts';
import { apiKeySecret, chatParticipantId, chatToolName, mcpProviderId, modelVendor } from '../contributions.ts';
import { workedInFolder } from '../following/project.ts';
import { engineOfNewSessions } from '../settings/engineSpec.ts';
import { affects, setting } from '../settings/settings.ts';
import { storageDirectory } from '../settings/storageDirectory.ts';

/** What VS Code's own chat gets: a participant, tools for its agents, and the MCP server. Each is loaded with its first use. */
export const registerChat = (app: App): Disposable[] => [
  chat.createChatParticipant(chatParticipantId, participant(app)),
  ...mainToolNames.map((name) => lm.registerTool(chatToolName(name), tool(app, name))),
  ...mcpServer(app),
  ...models(app),
];

/** VS Code asks again when the models may be others: with a connection, and with another model server. */
function models(app: App): Disposable[] {
  const changed = new EventEmitter<void>();
  const load = () => (loaded ??= import('./languageModels.ts').then(({ languageModels }) => languageModels(app)));
  let loaded: Promise<Models> | undefined;
  let shown = '';
  const provider = lm.registerLanguageModelChatProvider(modelVendor, {
    onDidChangeLanguageModelChatInformation: changed.event,
    provideLanguageModelChatInformation: async (...given) =>
      (await load()).provideLanguageModelChatInformation(...given),
    provideLanguageModelChatResponse: async (...given) => (await load()).provideLanguageModelChatResponse(...given),
    provideTokenCount: async (...given) => (await load()).provideTokenCount(...given),
  });
  return [
    changed,
    provider,
    // The first event comes at once, to a provider that is registered: without one, VS Code's picker asks no provider at its start.
    app.state.render(['connection', 'engine'], (state) => {
      const now = modelsKey(state);
      if (now === shown) return;
      shown = now;
      changed.fire();
    }),
  ];
}

/** Asking for the models asks the server, whose state is then written again: only what the models depend on counts. */
function modelsKey({ connection, engine }: App['state']['current']): string {
  if (connection.kind !== 'connected' || engine.kind === 'unasked') return connection.kind;
  const { spec, reachable, model, maxModelLen, takesPictures } = engine.status;
  return JSON.stringify([spec, reachable, model, maxModelLen, takesPictures]);
}

type Models = Pick<
  LanguageModelChatProvider,
  'provideLanguageModelChatInformation' | 'provideLanguageModelChatResponse' | 'provideTokenCount'
>;

const participant =
  (app: App): ChatRequestHandler =>
  async (request, _context, stream, token) => {
    const { answerInChat } = await import('./participant.ts');
    return await answerInChat(app, request, stream, token);
  };

const tool = (app: App, name: MainToolName): LanguageModelTool<object> => ({
  async prepareInvocation({ input }) {
    const { prepared } = await import('./languageModelTool.ts');
    return prepared(name, input);
  },
  async invoke({ input }, token) {
    const { invoke } = await import('./languageModelTool.ts');
    return await invoke(app, name, input, token);
  },
});

/** The tools of the MCP server are these tools again, so that an agent gets one or the other. */
function mcpServer(app: App): Disposable[] {
  const changed = new EventEmitter<void>();
  return [
    changed,
    workspace.onDidChangeConfiguration((event) => {
      if (affects(event, ['cwm.chatTools', 'cwm.storageDirectory'])) changed.fire();
    }),
    lm.registerMcpServerDefinitionProvider(mcpProviderId, {
      onDidChangeMcpServerDefinitions: changed.event,
      provideMcpServerDefinitions: () => (setting('cwm.chatTools') === 'mcp' ? [definition({})] : []),
      async resolveMcpServerDefinition() {
        // Else the server's first call starts a backend, without this window's settings and with the key in its environment for all clients.
        await app.connection.open().catch(() => undefined);
        // Without a backend there is no key; a call then says what is wrong with the backend.
        const engine = await engineOfNewSessions(app.connection).catch(() => '');
        const key = await app.context.secrets.get(apiKeySecret(engine));
        return definition(key === undefined ? {} : { CWM_API_KEY: key, CWM_API_KEY_FOR: engine });
      },
    }),
  ];
}

function definition(key: Record<string, string>): McpStdioServerDefinition {
  const server = new McpStdioServerDefinition(
    'Context Windows',
    process.execPath,
    [entryPointPath('mcp', import.meta.url), '--storage', storageDirectory()],
    // The editor's own Node. A desktop VS Code is Electron, which this variable turns into Node.
    { ELECTRON_RUN_AS_NODE: '1', ...key },
    productVersion,
  );
  // Its working directory says which project an agent works in.
  const folder = workedInFolder()?.uri;
  if (folder?.scheme === 'file') server.cwd = folder;
  return server;
}
