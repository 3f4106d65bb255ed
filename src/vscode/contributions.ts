import type { MainToolName } from '../agent/toolNames.ts';
import type { Fields, FieldsOf } from '../base/fields.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { Session } from '../protocol/schemas/session.ts';

/*
 * Every id that package.json and the code share, with its type, and every command's title; those of settings are in `settings/`. A test
 * compares the two in both directions.
 */

/**
 * The input of each command, from a tree item, a keybinding or another extension. A command asks the user for missing fields. It
 * ignores other fields, so that a tree item can be its input as it is.
 */
export const commandInputs = {
  'cwm.newSession': { id: 'string?', title: 'string?' },
  'cwm.switchSession': { session: 'string?' },
  'cwm.loadKv': {},
  /** Without a field to change, the user is asked. */
  'cwm.sessionSettings': {
    session: 'string?',
    title: 'string?',
    description: 'string?',
    tags: 'strings?',
    systemPrompt: 'string?',
  },
  /** `text` is stored as the prompt of that name; without both, the user is asked. */
  'cwm.systemPrompts': { prompt: 'string?', text: 'string?' },
  /** Whether the open folder may choose model server, model and tools of new sessions, and its MCP servers may be started. */
  'cwm.trustFolder': { trusted: 'boolean?' },
  /** `project` is its URI; without it that of this folder. */
  'cwm.recordProject': { project: 'string?' },
  'cwm.dontRecordProject': { project: 'string?' },
  /** `action`: `show`, `make` (of `paths`), `renew` or `delete`. */
  'cwm.projectBase': { action: 'string?', paths: 'strings?', memories: 'boolean?', confirmed: 'boolean?' },
  /** `confirmed`: also where the model server must compute the conversation again. */
  'cwm.moveToBase': { session: 'string?', confirmed: 'boolean?' },
  /** `from` is the URI of the project whose sessions come to the open folder. */
  'cwm.adoptProject': { from: 'string?', confirmed: 'boolean?' },
  'cwm.prime': { session: 'string?', paths: 'strings?' },
  /** The files and folders that are selected in the explorer. */
  'cwm.primeSelection': { paths: 'strings?' },
  /** `inView`: it was written in the reading view, which shows what happens. */
  'cwm.send': { session: 'string?', text: 'string?', inView: 'boolean?' },
  /** `message` is the id of a message of the session, here and below. */
  'cwm.editMessage': { session: 'string?', message: 'string?', text: 'string?' },
  /** `branch` is the name of one. */
  'cwm.switchBranch': { session: 'string?', branch: 'string?' },
  /** `message` is the last one that it shares. */
  'cwm.newBranch': { session: 'string?', message: 'string?', name: 'string?' },
  'cwm.renameBranch': { session: 'string?', branch: 'string?', name: 'string?' },
  'cwm.deleteBranch': { session: 'string?', branch: 'string?', confirmed: 'boolean?' },
  /** `how`: `append`, `cherry-pick` (of `messages`) or `rebase`. */
  'cwm.mergeBranch': { session: 'string?', branch: 'string?', how: 'string?', messages: 'strings?' },
  /** `systemPrompt`: the name of one; empty: that of the session. */
  'cwm.branchPrompt': { session: 'string?', branch: 'string?', systemPrompt: 'string?' },
  'cwm.rollBack': { session: 'string?', message: 'string?', confirmed: 'boolean?' },
  /** `branch`, else `window`, with another branch of the session or with another window. */
  'cwm.compare': {
    session: 'string?',
    branch: 'string?',
    window: 'string?',
    withBranch: 'string?',
    withWindow: 'string?',
  },
  /** `message` is the answer; without it the last one. */
  'cwm.regenerate': { session: 'string?', message: 'string?' },
  'cwm.continueAnswer': { session: 'string?' },
  'cwm.stopAnswer': { session: 'string?' },
  /** `call`: id of one call; without it all that wait. `decision`: `approve`, `approve-for-session` or `deny`; `reason` is what the model is told of a denial. */
  'cwm.decideTools': { session: 'string?', call: 'string?', decision: 'string?', reason: 'string?' },
  /** `call` asks the question; without it the first that waits. `text` is the answer. */
  'cwm.answerQuestion': { session: 'string?', call: 'string?', text: 'string?' },
  'cwm.acceptPlan': { session: 'string?' },
  'cwm.showConversation': { session: 'string?' },
  'cwm.showMarkdown': { session: 'string?' },
  'cwm.showMemory': { session: 'string?' },
  /** With `memory`, its id: `text` is what it says from now on, and `confirmed` forgets it. Without it: `text` is remembered for `scope`, with `tool` where that is `tool`. */
  'cwm.memories': {
    session: 'string?',
    memory: 'string?',
    scope: 'string?',
    tool: 'string?',
    text: 'string?',
    confirmed: 'boolean?',
  },
  /** `text` is what is searched for first. */
  'cwm.search': { text: 'string?' },
  /** `path` is absolute. `window`: it is frozen as a window of that name. */
  /** `kv`: whether the KV in the file comes in, too. Without it the user is asked, where the file has some. */
  'cwm.importConversation': { path: 'string?', window: 'string?', kv: 'boolean?' },
  /** `kv`: whether a `.cwindow` file gets the KV, too. With a path and without it, it does not. */
  'cwm.exportConversation': { session: 'string?', path: 'string?', kv: 'boolean?' },
  'cwm.freeze': { session: 'string?', name: 'string?' },
  'cwm.checkpoint': { session: 'string?', name: 'string?' },
  /** Continues the session that the window froze. */
  'cwm.resume': { session: 'string?' },
  /** `prompt`: a message that the opened session sends. `warm` false asks the model server nothing. */
  'cwm.thaw': { window: 'string?', insist: 'boolean?', prompt: 'string?', warm: 'boolean?' },
  /** Into a session of its own; the one of the window stays as it is. */
  'cwm.thawCopy': { window: 'string?' },
  /** The user is asked with what. */
  'cwm.thawWith': { window: 'string?' },
  'cwm.clone': { window: 'string?', target: 'string?' },
  'cwm.deleteWindow': { window: 'string?', confirmed: 'boolean?' },
  /** `project` is its URI; empty: out of all projects. */
  'cwm.moveSession': { session: 'string?', project: 'string?' },
  'cwm.deleteSession': { session: 'string?', confirmed: 'boolean?', cascade: 'boolean?' },
  /** `point` is the id of a recovery point. */
  'cwm.goBack': { session: 'string?', point: 'string?' },
  /** `expiresAt`: ISO 8601, in the future. */
  'cwm.setExpiry': { session: 'string?', expiresAt: 'string?', never: 'boolean?' },
  'cwm.pinWindow': { window: 'string?' },
  'cwm.unpinWindow': { window: 'string?' },
  'cwm.usage': {},
  'cwm.prune': {
    olderThanDays: 'number?',
    /** How many of the windows used last stay. */
    keep: 'number?',
    confirmed: 'boolean?',
  },
  /** `item` is an id in the trash. */
  'cwm.restoreFromTrash': { item: 'string?' },
  'cwm.emptyTrash': { confirmed: 'boolean?' },
  /** `keyFile` is created if it does not exist. */
  'cwm.encryptStorage': { keyFile: 'string?', confirmed: 'boolean?' },
  'cwm.decryptStorage': { confirmed: 'boolean?' },
  'cwm.listWindows': {},
  'cwm.status': {},
  'cwm.showReceipt': { window: 'string?' },
  'cwm.verify': { window: 'string?', repair: 'boolean?' },
  'cwm.doctor': {},
  /** `engine` is set without a list to choose from. */
  'cwm.chooseServer': { engine: 'string?' },
  'cwm.startEngine': {},
  'cwm.setApiKey': {},
  /** `client` is a kind that is known, like `codex`. */
  'cwm.connectClient': { client: 'string?', confirmed: 'boolean?' },
  'cwm.disconnectClient': { client: 'string?' },
  /** `client` is its name, here and below. */
  'cwm.rotateToken': { client: 'string?' },
  'cwm.recordClient': { client: 'string?' },
  'cwm.dontRecordClient': { client: 'string?' },
  'cwm.revokeClient': { client: 'string?', confirmed: 'boolean?' },
  'cwm.startAtLogin': { on: 'boolean?' },
  'cwm.chooseModel': { model: 'string?' },
  'cwm.showLog': {},
  'cwm.openSettings': {},
  'cwm.showActions': {},
  'cwm.refresh': {},
  /** `ofProject` is the URI of a project; empty: sessions of none. */
  'cwm.showMore': { session: 'string?', ofProject: 'string?' },
  'cwm.filterSessions': { text: 'string?' },
  'cwm.clearFilter': {},
  'cwm.showAllFolders': {},
  'cwm.showThisFolder': {},
} as const satisfies Readonly<Record<string, Fields>>;

export type CommandId = keyof typeof commandInputs;
export type CommandInput<Id extends CommandId> = FieldsOf<(typeof commandInputs)[Id]>;

/** What each command is called: in the palette, in menus, on buttons and in messages. */
export const commandTitles: Readonly<Record<CommandId, string>> = {
  'cwm.newSession': 'New Session',
  'cwm.switchSession': 'Switch Project or Session',
  'cwm.loadKv': 'Load KV',
  'cwm.sessionSettings': 'Session Settings…',
  'cwm.systemPrompts': 'System Prompts…',
  'cwm.trustFolder': 'Trust This Folder…',
  'cwm.recordProject': 'Record This Project',
  'cwm.dontRecordProject': "Don't Record This Project",
  'cwm.projectBase': 'Base of This Folder…',
  'cwm.moveToBase': 'Move to the Base of the Project',
  'cwm.adoptProject': 'Adopt a Project…',
  'cwm.prime': 'Add Files to Context',
  'cwm.primeSelection': 'Add to Context',
  'cwm.send': 'Send Message',
  'cwm.editMessage': 'Edit and Resend…',
  'cwm.switchBranch': 'Switch Branch',
  'cwm.newBranch': 'New Branch',
  'cwm.renameBranch': 'Rename Branch',
  'cwm.deleteBranch': 'Delete Branch',
  'cwm.mergeBranch': 'Merge Branch…',
  'cwm.branchPrompt': 'System Prompt of a Branch…',
  'cwm.rollBack': 'Roll Back to Message',
  'cwm.compare': 'Compare with…',
  'cwm.regenerate': 'Regenerate Answer',
  'cwm.continueAnswer': 'Continue Answer',
  'cwm.stopAnswer': 'Stop Answer',
  'cwm.decideTools': 'Decide on Tool Calls…',
  'cwm.answerQuestion': 'Answer the Model…',
  'cwm.acceptPlan': 'Accept Plan',
  'cwm.showConversation': 'Show Conversation',
  'cwm.showMarkdown': 'Show Conversation as Markdown',
  'cwm.showMemory': 'Memory of This Session',
  'cwm.memories': 'Memories…',
  'cwm.search': 'Search Conversations…',
  'cwm.importConversation': 'Import Conversation…',
  'cwm.exportConversation': 'Export Conversation…',
  'cwm.freeze': 'Freeze',
  'cwm.checkpoint': 'Checkpoint',
  'cwm.resume': 'Resume',
  'cwm.thaw': 'Thaw',
  'cwm.thawCopy': 'Thaw into a Copy',
  'cwm.thawWith': 'Thaw with…',
  'cwm.clone': 'Clone',
  'cwm.deleteWindow': 'Delete Window',
  'cwm.moveSession': 'Move to Project…',
  'cwm.deleteSession': 'Delete Session',
  'cwm.goBack': 'Go Back to a Recovery Point',
  'cwm.setExpiry': 'Set When a Session Expires',
  'cwm.pinWindow': 'Pin Window',
  'cwm.unpinWindow': 'Unpin Window',
  'cwm.usage': 'Usage',
  'cwm.prune': 'Prune Windows',
  'cwm.restoreFromTrash': 'Restore from Trash',
  'cwm.emptyTrash': 'Empty Trash',
  'cwm.encryptStorage': 'Encrypt Storage…',
  'cwm.decryptStorage': 'Decrypt Storage…',
  'cwm.listWindows': 'List Windows',
  'cwm.status': 'Status',
  'cwm.showReceipt': 'Show Receipt',
  'cwm.verify': 'Verify',
  'cwm.doctor': 'Doctor',
  'cwm.chooseServer': 'Choose Model Server…',
  'cwm.startEngine': 'Start Model Server',
  'cwm.setApiKey': 'Set API Key',
  'cwm.connectClient': 'Connect a Client…',
  'cwm.disconnectClient': 'Disconnect a Client…',
  'cwm.rotateToken': 'Give a Client Another Token…',
  'cwm.recordClient': 'Record Conversations of a Client',
  'cwm.dontRecordClient': "Don't Record Conversations of a Client",
  'cwm.revokeClient': 'Revoke the Token of a Client…',
  'cwm.startAtLogin': 'Start at Login…',
  'cwm.chooseModel': 'Choose Model…',
  'cwm.showLog': 'Show Log',
  'cwm.openSettings': 'Open Settings',
  'cwm.showActions': 'Show Main Actions',
  'cwm.refresh': 'Refresh',
  'cwm.showMore': 'Show More',
  'cwm.filterSessions': 'Filter Sessions…',
  'cwm.clearFilter': 'Clear Filter',
  'cwm.showAllFolders': 'Show Sessions of All Folders',
  'cwm.showThisFolder': 'Show Sessions of This Folder Only',
};

/** `changed` is false when the storage was already as wanted. */
export type TurnedEncryption = RouteOutput<'encryption'> & { readonly changed: boolean };

/** A command that is not listed here resolves to `undefined`. */
interface CommandOutputs {
  'cwm.newSession': Session;
  'cwm.switchSession': Session;
  'cwm.sessionSettings': Session;
  'cwm.trustFolder': RouteOutput<'trustProject'>;
  'cwm.recordProject': RouteOutput<'recordProject'>;
  'cwm.dontRecordProject': RouteOutput<'recordProject'>;
  'cwm.projectBase': RouteOutput<'projectBase'>;
  /** Null: the user did not agree to what it costs. */
  'cwm.moveToBase': RouteOutput<'moveToBase'> | null;
  'cwm.adoptProject': RouteOutput<'adoptProject'>;
  'cwm.prime': RouteOutput<'prime'>;
  'cwm.primeSelection': RouteOutput<'prime'>;
  'cwm.send': RouteOutput<'send'>;
  'cwm.editMessage': RouteOutput<'editMessage'>;
  'cwm.switchBranch': RouteOutput<'updateBranch'>;
  'cwm.newBranch': RouteOutput<'createBranch'>;
  'cwm.renameBranch': RouteOutput<'updateBranch'>;
  'cwm.deleteBranch': RouteOutput<'deleteBranch'>;
  'cwm.mergeBranch': RouteOutput<'mergeBranch'>;
  'cwm.branchPrompt': RouteOutput<'updateBranch'>;
  'cwm.rollBack': RouteOutput<'rollBack'>;
  'cwm.stopAnswer': RouteOutput<'cancelTurn'>;
  'cwm.regenerate': RouteOutput<'regenerate'>;
  'cwm.continueAnswer': RouteOutput<'continueAnswer'>;
  'cwm.decideTools': RouteOutput<'approveTools'>;
  'cwm.answerQuestion': RouteOutput<'answerQuestion'>;
  'cwm.acceptPlan': RouteOutput<'acceptPlan'>;
  'cwm.memories': RouteOutput<'remember'>;
  'cwm.importConversation': RouteOutput<'importConversation'>;
  /** `notes`: what is in the file beside the text, and what is not. */
  'cwm.exportConversation': { readonly path: string; readonly notes: readonly string[] };
  'cwm.freeze': Receipt;
  'cwm.checkpoint': Receipt;
  'cwm.resume': Receipt;
  'cwm.thaw': Receipt;
  'cwm.thawCopy': Receipt;
  'cwm.thawWith': Receipt;
  'cwm.clone': Receipt;
  'cwm.deleteWindow': RouteOutput<'deleteWindow'>;
  'cwm.moveSession': RouteOutput<'moveSession'>;
  'cwm.deleteSession': RouteOutput<'deleteSession'>;
  'cwm.goBack': RouteOutput<'restoreRecoveryPoint'>;
  'cwm.setExpiry': Session;
  'cwm.pinWindow': RouteOutput<'pinWindow'>;
  'cwm.unpinWindow': RouteOutput<'pinWindow'>;
  'cwm.prune': RouteOutput<'prune'>;
  'cwm.restoreFromTrash': RouteOutput<'restoreFromTrash'>;
  'cwm.emptyTrash': RouteOutput<'emptyTrash'>;
  'cwm.encryptStorage': TurnedEncryption;
  'cwm.decryptStorage': TurnedEncryption;
  'cwm.status': RouteOutput<'health'> | undefined;
  'cwm.verify': RouteOutput<'verify'>;
  'cwm.doctor': RouteOutput<'doctor'>;
  'cwm.startEngine': RouteOutput<'doctor'>;
}
export type CommandOutput<Id extends CommandId> = Id extends keyof CommandOutputs ? CommandOutputs[Id] : undefined;

/** The palette shows it before every command. */
export const commandCategory = 'Context Windows';

export const viewContainerId = 'cwm';
export const sessionsViewId = 'cwm.sessions';
export const clientsViewId = 'cwm.clients';
export const statusBarItemId = 'cwm.currentSession';
/** Type of the webviews that show a conversation. */
export const conversationViewId = 'cwm.conversation';

/** The participant `@window` of VS Code's chat, and its slash commands. */
export const chatParticipantId = 'cwm.window';
export const chatCommands = ['freeze', 'thaw', 'clone', 'branch', 'status', 'why'] as const;
export type ChatCommand = (typeof chatCommands)[number];
/** What a tool is called among the tools of all extensions. */
export const chatToolName = (tool: MainToolName): string => `cwm_${tool}`;
export const mcpProviderId = 'cwm.mcp';
/** Of the models that VS Code's chat gets. */
export const modelVendor = 'cwm';

/** Context keys for `when` clauses, with the values they may have. */
export interface ContextKeys {
  'cwm.connection': 'idle' | 'starting' | 'connected' | 'failed';
  /** Whether the tree shows the sessions of this folder or of all folders. */
  'cwm.scope': 'folder' | 'all';
  'cwm.hasFolder': boolean;
  /** Whether the tree shows only sessions with some text. */
  'cwm.isFiltered': boolean;
  /** Whether this folder's project is recorded. */
  'cwm.isRecorded': boolean;
}
export const contextKeys = [
  'cwm.connection',
  'cwm.scope',
  'cwm.hasFolder',
  'cwm.isFiltered',
  'cwm.isRecorded',
] as const satisfies readonly (keyof ContextKeys)[];

/**
 * `contextValue` of a tree item, for `viewItem ==` and `viewItem =~`. A session's value ends in its state:
 * `session.idle`, `session.busy`, `session.frozen`, `session.expired`, with `.memory` behind it where virtual memory is on; that of a pinned window is `window.pinned`. The active branch cannot
 * be deleted, and the first one has its name for ever.
 */
export const treeContextValues = [
  'session.idle',
  'session.busy',
  'session.frozen',
  'session.expired',
  'session.idle.memory',
  'session.busy.memory',
  'session.frozen.memory',
  'session.expired.memory',
  'branch.main',
  'branch.main.active',
  'branch.other',
  'branch.other.active',
  'window',
  'window.pinned',
  'project.recorded',
  'project.unrecorded',
  'client.recorded',
  'client.unrecorded',
  'more',
] as const;
export type TreeContextValue = (typeof treeContextValues)[number];

/** Read-only documents: `cwm:/<kind>/…`. */
export const documentScheme = 'cwm';
/** Language of receipts, highlighted by `syntaxes/cwm-receipt.tmLanguage.json`. */
export const receiptLanguageId = 'cwm-receipt';
/** Language of conversations in one file, highlighted by `syntaxes/cwindow.tmLanguage.json`. */
export const cwindowLanguageId = 'cwindow';

/** Where the secret storage has the API key of an engine's server: the model and the folders behind the `#` do not change it. */
export const apiKeySecret = (engine: string): string => `cwm.apiKey:${engine.replace(/#.*$/su, '')}`;
