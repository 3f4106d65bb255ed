import { type ExtensionContext, window } from 'vscode';
import { createApp, type App } from './app.ts';
import { inBackground } from '../base/inBackground.ts';
import { registerCommands } from './commands/registerCommands.ts';
import { registerChat } from './chat/registerChat.ts';
import type { Disposable } from '../base/disposable.ts';
import { registerDocuments } from './documents/registerDocuments.ts';
import { followBackend } from './following/followBackend.ts';
import { followSettings } from './following/followSettings.ts';
import { registerContextKeys } from './views/contextKeys.ts';
import { registerSessionsTree } from './views/sessionsTree.ts';
import { registerClientsTree } from './views/clientsTree.ts';
import { registerStatusBar } from './views/statusBar.ts';
import { followFolder, leaveFolder } from './following/followFolder.ts';
import { wakeUp } from './following/wakeUp.ts';

/** The exports of the extension, for other extensions and for the tests in the editor. */
export interface ExtensionApi {
  /** How long `activate` took, in milliseconds. */
  readonly activationMs: number;
  /** The connection to the backend when `activate` returned. */
  readonly connectionAtActivation: App['state']['current']['connection']['kind'];
  /** The state that the views show now. */
  readonly state: App['state']['current'];
}

/** Registers everything and returns at once. The search for the backend starts afterwards. */
export function activate(context: ExtensionContext): ExtensionApi {
  const started = performance.now();
  const log = window.createOutputChannel('Context Windows', { log: true });
  context.subscriptions.push(log);
  const app = createApp(context, log);
  startPart(app, 'commands', registerCommands);
  startPart(app, 'documents', registerDocuments);
  startPart(app, 'tree', registerSessionsTree);
  startPart(app, 'clients', registerClientsTree);
  startPart(app, 'status bar', registerStatusBar);
  startPart(app, 'context keys', registerContextKeys);
  startPart(app, 'signals', followBackend);
  startPart(app, 'settings', followSettings);
  startPart(app, 'chat', registerChat);
  startPart(app, 'folder', followFolder);
  inBackground(log, 'Looking for sessions', wakeUp(app));
  return extensionApi(app, performance.now() - started);
}

/** The editor waits a few seconds for it. */
export const deactivate = leaveFolder;

/** Starts one part of the extension. When it fails, the other parts still start, and the log says why. */
function startPart(app: App, name: string, register: (app: App) => Disposable | readonly Disposable[]): void {
  try {
    const registered = register(app);
    app.context.subscriptions.push(...('dispose' in registered ? [registered] : registered));
  } catch (error) {
    app.log.error(`The part "${name}" did not start.`, error);
  }
}

function extensionApi(app: App, activationMs: number): ExtensionApi {
  app.log.info(`Activated in ${activationMs.toFixed(1)} ms.`);
  return {
    activationMs,
    connectionAtActivation: app.state.current.connection.kind,
    get state() {
      return app.state.current;
    },
  };
}
