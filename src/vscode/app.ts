import type { ExtensionContext, LogOutputChannel } from 'vscode';
import type { BackendConnection } from './backendConnection.ts';
import type { Conversations } from './conversations.ts';
import type { Reports } from './documents/documentTexts.ts';
import type { Documents } from './documents/documents.ts';
import type { ProjectTracker } from './project.ts';
import type { Puller } from './puller.ts';
import type { StateStore } from './state.ts';

/** What commands and views share; made once, in `activate`. */
export interface App {
  readonly context: ExtensionContext;
  readonly log: LogOutputChannel;
  readonly state: StateStore;
  readonly connection: BackendConnection;
  readonly puller: Puller;
  readonly project: ProjectTracker;
  readonly conversations: Conversations;
  readonly documents: Documents;
  readonly reports: Reports;
}
