import { type ExtensionContext, ExtensionKind, env, type LogOutputChannel } from 'vscode';
import { findBackend } from './connection/findBackend.ts';
import { engineOfSetting } from './settings/engineSpec.ts';
import { BackendConnection } from './connection/backendConnection.ts';
import { Conversations } from './documents/conversations.ts';
import { documentTexts, type Reports } from './documents/documentTexts.ts';
import { Documents } from './documents/documents.ts';
import { ProjectTracker } from './following/project.ts';
import { Puller } from './following/puller.ts';
import { ReadingViews } from './documents/readingViews.ts';
import { initialState, type RemotePlace, ViewState } from './state.ts';

/** The objects that commands and views share. `activate` creates it once. */
export interface App {
  readonly context: ExtensionContext;
  readonly log: LogOutputChannel;
  readonly state: ViewState;
  readonly connection: BackendConnection;
  readonly puller: Puller;
  readonly project: ProjectTracker;
  readonly conversations: Conversations;
  readonly documents: Documents;
  readonly readings: ReadingViews;
  readonly reports: Reports;
}

export function createApp(context: ExtensionContext, log: LogOutputChannel): App {
  const report = (error: unknown): void => log.error('A listener failed.', error);
  const state = new ViewState(report, { ...initialState, remote: remotePlace(context) });
  const connection = new BackendConnection(findBackend(context, log), state, report);
  const puller = new Puller(connection, state, engineOfSetting, (error) =>
    log.warn(`Fetching failed: ${error.message} (${error.code})`),
  );
  const conversations = new Conversations(connection, report);
  const reports: Reports = { doctor: null, verification: null, change: null };
  const documents = new Documents(documentTexts(connection, state, conversations, reports));
  const project = new ProjectTracker(state, puller);
  context.subscriptions.push(state, connection, conversations, documents, project);
  return {
    context,
    log,
    state,
    connection,
    puller,
    project,
    conversations,
    documents,
    readings: new ReadingViews(),
    reports,
  };
}

/** It never changes while the extension runs: another connection starts it again. */
function remotePlace({ extension }: ExtensionContext): RemotePlace | null {
  if (env.remoteName === undefined) return null;
  return { name: env.remoteName, isThere: extension.extensionKind === ExtensionKind.Workspace };
}
