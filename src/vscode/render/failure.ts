import { type CwmError, type ErrorName } from '../../protocol/errors.ts';
import { problemText } from './problem.ts';

/** What a message about a failure offers besides being closed. */
export const failureActions = {
  retry: 'Retry',
  startEngine: 'Start Engine',
  openSettings: 'Open Settings',
  setApiKey: 'Set API Key',
  listWindows: 'List Windows',
  switchSession: 'Switch Session',
  verify: 'Verify',
  doctor: 'Doctor',
  showLog: 'Show Log',
} as const;
export type FailureAction = keyof typeof failureActions;

/** For every code, what helps. `retry` is offered besides wherever the code is retryable. */
const helpful: Readonly<Record<ErrorName, readonly FailureAction[]>> = {
  InvalidSessionId: [],
  InvalidWindowName: [],
  InvalidParameter: [],
  UnsupportedSchema: ['openSettings', 'showLog'],
  InvalidState: [],
  InvalidConfig: ['openSettings'],
  NotAModel: ['openSettings', 'doctor'],
  SessionNotFound: ['switchSession'],
  WindowNotFound: ['listWindows'],
  MessageNotFound: [],
  RouteNotFound: ['showLog'],
  PathNotFound: [],
  RecoveryPointNotFound: [],
  NoValidRecoveryPoint: ['listWindows'],
  InvalidTransition: [],
  AlreadyFrozen: ['listWindows', 'switchSession'],
  WindowExists: ['listWindows'],
  SessionExists: ['switchSession'],
  NotInitialized: ['switchSession'],
  VersionConflict: [],
  SyncConflict: [],
  SyncFailed: [],
  RecoveryFailed: [],
  WriteFailed: ['openSettings', 'showLog'],
  ReadFailed: ['openSettings', 'showLog'],
  StorageFull: ['openSettings'],
  Corrupted: ['verify', 'showLog'],
  EngineUnavailable: ['startEngine', 'openSettings', 'doctor'],
  ModelMismatch: ['doctor', 'openSettings'],
  EngineFailed: ['doctor', 'showLog'],
  NotAnEngine: ['openSettings', 'doctor'],
  EngineDenied: ['setApiKey', 'openSettings'],
  EngineRejected: ['doctor', 'showLog'],
  BackendUnavailable: ['showLog'],
  StreamCut: ['showLog'],
  EmptyAnswer: ['openSettings'],
  EngineTimeout: ['doctor', 'showLog'],
  OperationTimeout: ['showLog'],
  Cancelled: [],
  TooManyRequests: [],
  TooManyOperations: [],
  Exhausted: ['listWindows'],
  ContextTooLong: [],
  BodyTooLarge: [],
  AccessDenied: ['openSettings', 'showLog'],
  EncryptionKey: ['showLog'],
  Internal: ['showLog'],
};

export interface FailureMessage {
  readonly text: string;
  readonly actions: readonly FailureAction[];
}

/** A failure as the user reads it: what happened, its code, what to do next. */
export function failureMessage(title: string, error: CwmError, canRetry: boolean): FailureMessage {
  return {
    text: `${title}: ${problemText(error)}`,
    actions: [...(canRetry && error.retryable ? (['retry'] as const) : []), ...helpful[error.name]],
  };
}
