/**
 * Every way an operation can fail, once. The family is the first digit: 1 validation, 2 not found, 3 state, 4 storage,
 * 5 connection, 6 time-out, 7 resource, 8 security, 9 internal (S0-70).
 *
 * `retryable` says whether the same call may succeed later with nothing changed. `hint` is what the user can do; a place
 * that knows more gives a better one when it throws.
 */
export const errorCodes = {
  'CWM-1001': {
    name: 'InvalidSessionId',
    status: 400,
    retryable: false,
    hint: 'Use 1 to 64 of A–Z, a–z, 0–9, "_" and "-".',
  },
  'CWM-1002': {
    name: 'InvalidWindowName',
    status: 400,
    retryable: false,
    hint: 'Use 1 to 128 of A–Z, a–z, 0–9, "_" and "-".',
  },
  'CWM-1003': {
    name: 'InvalidParameter',
    status: 400,
    retryable: false,
    hint: 'Correct the named parameter and try again.',
  },
  'CWM-1004': {
    name: 'UnsupportedSchema',
    status: 409,
    retryable: false,
    hint: 'The data was written by another version; update the extension, or move the storage directory away.',
  },
  'CWM-1005': {
    name: 'InvalidState',
    status: 400,
    retryable: false,
    hint: 'Correct what is named, and store it again; nothing was changed.',
  },
  'CWM-1101': { name: 'InvalidConfig', status: 400, retryable: false, hint: 'Correct the named setting.' },
  'CWM-1201': { name: 'NotAModel', status: 400, retryable: false, hint: 'Choose a GGUF file that llama.cpp can load.' },
  'CWM-2001': { name: 'SessionNotFound', status: 404, retryable: false, hint: 'List the sessions to see which exist.' },
  'CWM-2002': { name: 'WindowNotFound', status: 404, retryable: false, hint: 'List the windows to see which exist.' },
  'CWM-2003': {
    name: 'BlockNotFound',
    status: 404,
    retryable: false,
    hint: 'Thaw the window to rebuild its KV cache.',
  },
  'CWM-2007': { name: 'MessageNotFound', status: 404, retryable: false, hint: 'Reload the session.' },
  'CWM-2008': {
    name: 'RouteNotFound',
    status: 404,
    retryable: false,
    hint: 'The client and the backend may be of different versions; stop the backend and try again.',
  },
  'CWM-2009': { name: 'PathNotFound', status: 404, retryable: false, hint: 'Check the path.' },
  'CWM-2010': {
    name: 'RecoveryPointNotFound',
    status: 404,
    retryable: false,
    hint: 'List the recovery points of the session to see which exist.',
  },
  'CWM-2011': {
    name: 'NoValidRecoveryPoint',
    status: 404,
    retryable: false,
    hint: 'A window of the session, if it has one, can still be thawed.',
  },
  'CWM-3001': {
    name: 'InvalidTransition',
    status: 409,
    retryable: false,
    hint: 'Wait until the session is idle, or thaw it first.',
  },
  'CWM-3002': {
    name: 'AlreadyFrozen',
    status: 409,
    retryable: false,
    hint: 'Thaw one of its windows to go on with it.',
  },
  'CWM-3003': {
    name: 'WindowExists',
    status: 409,
    retryable: false,
    hint: 'Choose another name, or delete that window first.',
  },
  'CWM-3004': { name: 'SessionExists', status: 409, retryable: false, hint: 'Choose another id.' },
  'CWM-3101': {
    name: 'NotInitialized',
    status: 409,
    retryable: false,
    hint: 'Activate a session first, or name one.',
  },
  'CWM-3103': {
    name: 'VersionConflict',
    status: 409,
    retryable: true,
    hint: 'Somebody else changed it; read it again and retry.',
  },
  'CWM-3104': {
    name: 'SyncConflict',
    status: 409,
    retryable: false,
    hint: 'Choose what to keep: keep-latest, keep-oldest or merge.',
  },
  'CWM-3105': {
    name: 'SyncFailed',
    status: 502,
    retryable: true,
    hint: 'Check the folder to synchronise with; the session keeps the state it had.',
  },
  'CWM-3106': {
    name: 'RecoveryFailed',
    status: 409,
    retryable: false,
    hint: 'Choose another recovery point; the session is as it was.',
  },
  'CWM-4001': {
    name: 'WriteFailed',
    status: 500,
    retryable: true,
    hint: 'Check the storage directory and its permissions.',
  },
  'CWM-4002': {
    name: 'ReadFailed',
    status: 500,
    retryable: true,
    hint: 'Check the storage directory and its permissions.',
  },
  'CWM-4003': {
    name: 'StorageFull',
    status: 507,
    retryable: false,
    hint: 'Free some disk space and try again; nothing was changed.',
  },
  'CWM-4004': {
    name: 'Corrupted',
    status: 500,
    retryable: false,
    hint: 'Run verify to see what is damaged; the damaged file was set aside, not deleted.',
  },
  'CWM-5001': {
    name: 'EngineUnavailable',
    status: 502,
    retryable: true,
    hint: 'Start the model server, or check its URL.',
  },
  'CWM-5003': {
    name: 'ModelMismatch',
    status: 409,
    retryable: false,
    hint: 'Serve the model the window was frozen with, or insist on thawing without its KV cache.',
  },
  'CWM-5004': {
    name: 'EngineFailed',
    status: 502,
    retryable: true,
    hint: "Look at the model server's log; the request can be tried again.",
  },
  'CWM-5005': {
    name: 'NotAnEngine',
    status: 502,
    retryable: false,
    hint: 'Check that the URL is that of a model server that speaks the OpenAI API.',
  },
  'CWM-5006': { name: 'EngineDenied', status: 502, retryable: false, hint: 'Set the API key of the model server.' },
  'CWM-5007': {
    name: 'EngineRejected',
    status: 502,
    retryable: false,
    hint: 'The model server refused the request; its reason is in the message.',
  },
  'CWM-5010': {
    name: 'BackendUnavailable',
    status: 503,
    retryable: true,
    hint: 'Run the command again; look at the log if it stays away.',
  },
  'CWM-5101': {
    name: 'StreamCut',
    status: 502,
    retryable: true,
    hint: 'The answer ended early; what had arrived was not kept. Send again.',
  },
  'CWM-6001': {
    name: 'EngineTimeout',
    status: 504,
    retryable: true,
    hint: 'The model server did not answer in time; raise the time-out if prefill takes longer.',
  },
  'CWM-6002': { name: 'OperationTimeout', status: 504, retryable: true, hint: 'Try again.' },
  'CWM-6003': { name: 'Cancelled', status: 499, retryable: true, hint: 'It was cancelled; nothing was changed.' },
  'CWM-7002': { name: 'TooManyRequests', status: 429, retryable: true, hint: 'Wait for a moment and try again.' },
  'CWM-7003': { name: 'TooManyOperations', status: 429, retryable: true, hint: 'Wait for a running operation to end.' },
  'CWM-7010': {
    name: 'Exhausted',
    status: 409,
    retryable: false,
    hint: 'Delete what is no longer needed, and try again.',
  },
  'CWM-7011': {
    name: 'ContextTooLong',
    status: 413,
    retryable: false,
    hint: 'Use fewer files, or a model with a longer context.',
  },
  'CWM-7012': { name: 'BodyTooLarge', status: 413, retryable: false, hint: 'Send less at once.' },
  'CWM-8001': {
    name: 'AccessDenied',
    status: 403,
    retryable: false,
    hint: 'The backend belongs to another user, or the token is wrong.',
  },
  'CWM-8003': {
    name: 'EncryptionKey',
    status: 403,
    retryable: false,
    hint: 'Name the key file that the store was encrypted with.',
  },
  'CWM-9001': { name: 'Internal', status: 500, retryable: false, hint: 'This is a bug; the log has the details.' },
} as const satisfies Record<string, { name: string; status: number; retryable: boolean; hint: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** What a user, a script or another process is told of a failure. Never holds secrets, stacks or internals. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly hint: string;
  readonly context?: Readonly<Record<string, unknown>>;
}

export interface CwmErrorOptions {
  /** What to do next, when it is better than the code's own hint. */
  readonly hint?: string;
  /** Facts for scripts: ids, sizes, limits. Shown to the user, so no secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** For the log only; it never leaves the process. */
  readonly cause?: unknown;
}

/** The one error class that crosses a layer. Match on `code`, never on the message. */
export class CwmError extends Error {
  override readonly name = 'CwmError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly context: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: CwmErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? errorCodes[code].hint;
    this.context = options.context;
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }

  report(): ErrorReport {
    const { code, message, retryable, hint, context } = this;
    return context === undefined ? { code, message, retryable, hint } : { code, message, retryable, hint, context };
  }

  static fromReport(report: ErrorReport): CwmError {
    const code = report.code in errorCodes ? report.code : 'CWM-9001';
    return new CwmError(code, report.message, {
      hint: report.hint,
      ...(report.context ? { context: report.context } : {}),
    });
  }
}

/** Whether an engine could not be reached, refused, or was not there in time: what did not need its answer goes on. */
export const isEngineFailure = ({ code }: CwmError): boolean => code.startsWith('CWM-5') || code === 'CWM-6001';

/** Any thrown value as a {@link CwmError}: an abort becomes CWM-6003, what nobody expected CWM-9001. */
export function toCwmError(error: unknown): CwmError {
  if (error instanceof CwmError) return error;
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return error.name === 'TimeoutError'
      ? new CwmError('CWM-6002', 'The operation took too long and was given up.', { cause: error })
      : new CwmError('CWM-6003', 'The operation was cancelled.', { cause: error });
  }
  return new CwmError('CWM-9001', 'Something went wrong inside the backend.', { cause: error });
}
