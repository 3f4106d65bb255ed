import type { ExtensionContext, LogOutputChannel } from 'vscode';
import type { BackendConnection } from './connection/backendConnection.ts';
import type { Conversations } from './documents/conversations.ts';
import type { Reports } from './documents/documentTexts.ts';
import type { Documents } from './documents/documents.ts';
import type { ProjectTracker } from './following/project.ts';
import type { Puller } from './following/puller.ts';
import type { StateStore } from './state.ts';

/** The objects that commands and views share. `activate` creates it once. */
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
