import { type CwmError, type ErrorName } from '../../protocol/errors.ts';
import { problemText } from '../../words/failure.ts';
import { commandTitles, type CommandId } from '../contributions.ts';

/** What the buttons of a failure message do. */
export const failureCommands = {
  startEngine: 'cwm.startEngine',
  openSettings: 'cwm.openSettings',
  setApiKey: 'cwm.setApiKey',
  chooseModel: 'cwm.chooseModel',
  listWindows: 'cwm.listWindows',
  switchSession: 'cwm.switchSession',
  verify: 'cwm.verify',
  doctor: 'cwm.doctor',
  showLog: 'cwm.showLog',
} as const satisfies Record<string, CommandId>;
export type FailureAction = keyof typeof failureCommands | 'retry';

export const actionLabel = (action: FailureAction): string =>
  action === 'retry' ? 'Retry' : commandTitles[failureCommands[action]];

/** Which actions help with each error. A retryable error also gets `retry`. */
const helpful: Readonly<Record<ErrorName, readonly FailureAction[]>> = {
  InvalidSessionId: [],
  InvalidWindowName: [],
  InvalidParameter: [],
  UnsupportedSchema: ['openSettings', 'showLog'],
  InvalidState: [],
  InvalidConfig: ['openSettings'],
  InvalidDirectory: [],
  OtherProject: ['switchSession'],
  NotAModel: ['openSettings', 'doctor'],
  SessionNotFound: ['switchSession'],
  AmbiguousSession: ['switchSession'],
  WindowNotFound: ['listWindows'],
  BranchNotFound: [],
  BranchExists: [],
  BranchInUse: [],
  MessageNotFound: [],
  RouteNotFound: ['showLog'],
  MethodNotAllowed: ['showLog'],
  PathNotFound: [],
  PromptNotFound: [],
  RecoveryPointNotFound: [],
  NoValidRecoveryPoint: ['listWindows'],
  InvalidTransition: [],
  AlreadyFrozen: ['listWindows', 'switchSession'],
  WindowExists: ['listWindows'],
  SessionExists: ['switchSession'],
  NotInitialized: ['switchSession'],
  VersionConflict: [],
  PrefixWouldBreak: [],
  SyncConflict: [],
  SyncFailed: [],
  RecoveryFailed: [],
  WriteFailed: ['openSettings', 'showLog'],
  ReadFailed: ['openSettings', 'showLog'],
  StorageFull: ['openSettings'],
  Corrupted: ['verify', 'showLog'],
  EngineUnavailable: ['startEngine', 'openSettings', 'doctor'],
  ModelMismatch: ['chooseModel', 'doctor', 'openSettings'],
  EngineFailed: ['doctor', 'showLog'],
  NotAnEngine: ['openSettings', 'doctor'],
  EngineDenied: ['setApiKey', 'openSettings'],
  EngineRejected: ['doctor', 'showLog'],
  NoEngineBinary: ['openSettings'],
  BackendUnavailable: ['showLog'],
  StreamCut: ['showLog'],
  EmptyAnswer: ['openSettings'],
  EngineTimeout: ['doctor', 'showLog'],
  OperationTimeout: ['showLog'],
  Cancelled: [],
  RequestTimeout: [],
  TooManyRequests: [],
  TooManyOperations: ['openSettings'],
  Exhausted: ['listWindows'],
  ContextTooLong: [],
  BodyTooLarge: [],
  PinsTooLong: [],
  AccessDenied: ['openSettings', 'showLog'],
  EncryptionKey: ['showLog'],
  TlsRequired: ['openSettings'],
  TokenRequired: [],
  Internal: ['showLog'],
};

export interface FailureMessage {
  readonly text: string;
  readonly actions: readonly FailureAction[];
}

/** A failure as the user reads it: what happened, its code, what to do next. @param what the command or the attempt that failed. */
export function failureMessage(what: string, error: CwmError, canRetry: boolean): FailureMessage {
  return {
    text: `${what}: ${problemText(error)}`,
    actions: [...(canRetry && error.retryable ? (['retry'] as const) : []), ...helpful[error.name]],
  };
}
