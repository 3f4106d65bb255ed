import { type ExtensionContext, type LogOutputChannel, window } from 'vscode';
import type { App } from './app.ts';
import { inBackground } from './ui/background.ts';
import { BackendConnection } from './connection/backendConnection.ts';
import { registerCommands } from './commands/registerCommands.ts';
import { startPart } from './startPart.ts';
import { Conversations } from './documents/conversations.ts';
import { documentTexts, type Reports } from './documents/documentTexts.ts';
import { Documents } from './documents/documents.ts';
import { registerDocuments } from './documents/registerDocuments.ts';
import { followBackend } from './following/followBackend.ts';
import { followSettings } from './following/followSettings.ts';
import { engineSpec } from './settings/engineSpec.ts';
import { extensionApi, type ExtensionApi } from './extensionApi.ts';
import { ProjectTracker } from './following/project.ts';
import { Puller } from './following/puller.ts';
import { startBackend } from './connection/startBackend.ts';
import { StateStore } from './state.ts';
import { registerContextKeys } from './views/contextKeys.ts';
import { registerSessionsTree } from './views/sessionsTree.ts';
import { registerStatusBar } from './views/statusBar.ts';
import { wakeUp } from './following/wakeUp.ts';

/** Registers everything and returns at once. The search for the backend starts afterwards. */
export function activate(context: ExtensionContext): ExtensionApi {
  const started = performance.now();
  const log = window.createOutputChannel('Context Windows', { log: true });
  context.subscriptions.push(log);
  const app = createApp(context, log);
  startPart(app, 'commands', registerCommands);
  startPart(app, 'documents', registerDocuments);
  startPart(app, 'tree', registerSessionsTree);
  startPart(app, 'status bar', registerStatusBar);
  startPart(app, 'context keys', registerContextKeys);
  startPart(app, 'signals', followBackend);
  startPart(app, 'settings', followSettings);
  inBackground(log, 'Looking for sessions', wakeUp(app));
  return extensionApi(app, performance.now() - started);
}

function createApp(context: ExtensionContext, log: LogOutputChannel): App {
  const report = (error: unknown): void => log.error('A listener failed.', error);
  const state = new StateStore(report);
  const connection = new BackendConnection(startBackend(context, log), state, report);
  const puller = new Puller(connection, state, engineSpec, (error) =>
    log.warn(`Fetching failed: ${error.message} (${error.code})`),
  );
  const conversations = new Conversations(connection, report);
  const reports: Reports = { doctor: null, verification: null };
  const documents = new Documents(documentTexts(connection, state, conversations, reports));
  const project = new ProjectTracker(state, puller);
  context.subscriptions.push(state, connection, conversations, documents, project);
  return { context, log, state, connection, puller, project, conversations, documents, reports };
}
