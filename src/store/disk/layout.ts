import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import {
  parseLineageId,
  parseMessageId,
  parsePromptId,
  parseSessionId,
  parseWindowName,
  type LineageId,
  type MessageId,
  type ProjectUri,
  type PromptId,
  type SessionId,
  type WindowName,
} from '../../protocol/ids.ts';

/**
 * Where everything is below the storage directory (`docs/storage-format.md`). Only this file makes paths, and only from ids that pass
 * their parse function again, so that a cast cannot smuggle in a `..`.
 */
export class Layout {
  readonly root: string;
  readonly contexts: string;
  readonly windows: string;
  readonly lineages: string;
  readonly projects: string;
  /** Named system prompts. */
  readonly prompts: string;
  /** Operations over two records that have begun; the start checks them. */
  readonly intents: string;
  /** The embedded engine's directory; the store has nothing in it. */
  readonly kv: string;
  /** Unfinished files are built here; the start empties it. */
  readonly temporary: string;
  readonly trash: string;
  readonly quarantine: string;
  /** Records as they were before a migration. */
  readonly backups: string;
  readonly storeRecord: string;
  /** Whether and with which key the store is encrypted; never encrypted itself. */
  readonly encryption: string;
  readonly indexImage: string;
  readonly searchImage: string;
  readonly auditLog: string;
  /** Whole months of the audit log that are over, and where the log ends. */
  readonly audit: string;
  readonly auditHead: string;
  /** Selected sessions, the last selected one first. */
  readonly selection: string;
  /** The engine of sessions that name none. */
  readonly engine: string;
  /** Answers while they come; absent while none does. */
  readonly answers: string;
  /** What is remembered for the user; absent before anything is. */
  readonly userMemories: string;
  /** A backup that is being restored; the start finishes it. */
  readonly restoring: string;
  /** The times that the store saw on the machine's clock. */
  readonly clock: string;
  /** Counts of the backend, which writes both itself: its figures, and the tokens of turns. */
  readonly figures: string;
  readonly usage: string;

  constructor(root: string) {
    this.root = root;
    this.contexts = join(root, 'contexts');
    this.windows = join(root, 'windows');
    this.lineages = join(root, 'lineages');
    this.projects = join(root, 'projects');
    this.prompts = join(root, 'prompts');
    this.intents = join(root, 'intents');
    this.kv = join(root, 'kv');
    this.temporary = join(root, 'tmp');
    this.trash = join(root, 'trash');
    this.quarantine = join(root, 'quarantine');
    this.backups = join(root, 'backups');
    this.storeRecord = join(root, 'store.json');
    this.encryption = join(root, 'encryption.json');
    this.indexImage = join(root, 'index.sqlite');
    this.searchImage = join(root, 'search.sqlite');
    this.auditLog = join(root, 'audit.jsonl');
    this.audit = join(root, 'audit');
    this.auditHead = join(this.audit, 'head.json');
    this.selection = join(root, 'active.json');
    this.engine = join(root, 'engine.json');
    this.answers = join(root, 'answers.jsonl');
    this.userMemories = join(root, 'memories.jsonl');
    this.restoring = join(root, 'restoring.json');
    this.clock = join(root, 'clock.json');
    this.figures = join(root, 'metrics.json');
    this.usage = join(root, 'usage.jsonl');
  }

  /** Directories that must exist. */
  get directories(): readonly string[] {
    const { contexts, windows, lineages, projects, prompts, intents, audit, temporary, trash, quarantine } = this;
    return [contexts, windows, lineages, projects, prompts, intents, audit, temporary, trash, quarantine];
  }

  /** The store's files that lie directly in its root; `encryption.json` is no part of them, because it is never encrypted. */
  get rootFiles(): readonly string[] {
    const {
      storeRecord,
      indexImage,
      searchImage,
      auditLog,
      selection,
      answers,
      engine,
      userMemories,
      restoring,
      clock,
      figures,
      usage,
    } = this;
    return [
      storeRecord,
      indexImage,
      searchImage,
      auditLog,
      selection,
      answers,
      engine,
      userMemories,
      restoring,
      clock,
      figures,
      usage,
    ];
  }

  session(id: SessionId): SessionPaths {
    return sessionPaths(join(this.contexts, fileNameOf(id, parseSessionId)));
  }

  window(name: WindowName): WindowPaths {
    return windowPaths(join(this.windows, fileNameOf(name, parseWindowName)));
  }

  lineage(id: LineageId): string {
    return join(this.lineages, `${fileNameOf(id, parseLineageId)}.json`);
  }

  project(uri: ProjectUri): string {
    return join(this.projects, `${sha256Hex(uri)}.json`);
  }

  /** What is remembered for a project; absent before anything is. */
  projectMemories(uri: ProjectUri): string {
    return join(this.projects, `${sha256Hex(uri)}.memories.jsonl`);
  }

  prompt(id: PromptId): string {
    return join(this.prompts, `${fileNameOf(id, parsePromptId)}.json`);
  }

  freezeIntent(window: WindowName): string {
    return join(this.intents, `freeze-${fileNameOf(window, parseWindowName)}.json`);
  }

  restoreIntent(session: SessionId): string {
    return join(this.intents, `restore-${fileNameOf(session, parseSessionId)}.json`);
  }
}

export interface SessionPaths {
  readonly directory: string;
  readonly metadata: string;
  readonly checkpoint: string;
  readonly messages: string;
  readonly messageIndex: string;
  message(id: MessageId): string;
  readonly tokenLog: string;
  /** What virtual memory recorded; absent where it never did. */
  readonly memory: string;
  /** Holds `current.json` from the moment it is there. */
  readonly state: string;
  readonly currentState: string;
  readonly recovery: string;
}

export const sessionPaths = (directory: string): SessionPaths => ({
  directory,
  metadata: join(directory, 'metadata.json'),
  checkpoint: join(directory, 'checkpoint.json'),
  messages: join(directory, 'messages'),
  messageIndex: join(directory, 'message_index.jsonl'),
  message: (id) => join(directory, 'messages', `${fileNameOf(id, parseMessageId)}.json`),
  tokenLog: join(directory, 'token_log.jsonl'),
  memory: join(directory, 'memory.jsonl'),
  state: join(directory, 'state'),
  currentState: join(directory, 'state', 'current.json'),
  recovery: join(directory, 'recovery'),
});

export interface WindowPaths {
  readonly directory: string;
  readonly manifest: string;
  readonly tokens: string;
  readonly kv: string;
  readonly receipts: string;
  /** An empty file; while it exists, no budget evicts the window's KV. */
  readonly pin: string;
}

export const windowPaths = (directory: string): WindowPaths => ({
  directory,
  manifest: join(directory, 'manifest.json'),
  tokens: join(directory, 'tokens.u32'),
  kv: join(directory, 'kv.json'),
  receipts: join(directory, 'receipts.jsonl'),
  pin: join(directory, 'pinned'),
});

// Names of devices on Windows, with or without an extension. "~" is in no id, so the longer name is free.
const devicePattern = /^(?:con|prn|aux|nul|com\d|lpt\d)$/i;

function fileNameOf<Id extends string>(id: Id, parse: (value: string) => Id): string {
  if (parse(id) !== id)
    throw new CwmError('InvalidParameter', `${JSON.stringify(id)} is not written as ids are stored.`);
  return devicePattern.test(id) ? `${id}~` : id;
}

/** The id that a directory or file (without its extension) is named after, or null when no id is stored under that name. */
export function idOfFileName<Id extends string>(name: string, parse: (value: string) => Id): Id | null {
  const id = devicePattern.test(name.slice(0, -1)) && name.endsWith('~') ? name.slice(0, -1) : name;
  try {
    const parsed = parse(id);
    return fileNameOf(parsed, parse) === name ? parsed : null;
  } catch (error) {
    if (error instanceof CwmError) return null;
    throw error;
  }
}
