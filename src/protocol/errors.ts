/**
 * Every way an operation can fail, once. The family is the first digit: 1 validation, 2 not found, 3 state, 4 storage,
 * 5 connection, 6 time-out, 7 resource, 8 security, 9 internal (S0-70).
 *
 * `retryable` says whether the same call may succeed later with nothing changed. `hint` is what the user can do; a place
 * that knows more gives a better one when it throws.
 */
export const errors = {
  InvalidSessionId: {
    code: 'CWM-1001',
    status: 400,
    retryable: false,
    hint: 'Use 1 to 64 of A–Z, a–z, 0–9, "_" and "-".',
  },
  InvalidWindowName: {
    code: 'CWM-1002',
    status: 400,
    retryable: false,
    hint: 'Use 1 to 128 of A–Z, a–z, 0–9, "_" and "-".',
  },
  InvalidParameter: {
    code: 'CWM-1003',
    status: 400,
    retryable: false,
    hint: 'Correct the named parameter and try again.',
  },
  UnsupportedSchema: {
    code: 'CWM-1004',
    status: 409,
    retryable: false,
    hint: 'The data was written by another version; update the extension, or move the storage directory away.',
  },
  InvalidConfig: { code: 'CWM-1101', status: 400, retryable: false, hint: 'Correct the named setting.' },
  InvalidDirectory: {
    code: 'CWM-1102',
    status: 400,
    retryable: false,
    hint: 'Name a folder that exists, by its absolute path.',
  },
  InvalidState: {
    code: 'CWM-1103',
    status: 400,
    retryable: false,
    hint: 'Correct what is named, and store it again; nothing was changed.',
  },
  NotAModel: { code: 'CWM-1201', status: 400, retryable: false, hint: 'Choose a GGUF file that llama.cpp can load.' },
  SessionNotFound: { code: 'CWM-2001', status: 404, retryable: false, hint: 'List the sessions to see which exist.' },
  WindowNotFound: { code: 'CWM-2002', status: 404, retryable: false, hint: 'List the windows to see which exist.' },
  RecoveryPointNotFound: {
    code: 'CWM-2004',
    status: 404,
    retryable: false,
    hint: 'List the recovery points of the session to see which exist.',
  },
  NoValidRecoveryPoint: {
    code: 'CWM-2005',
    status: 404,
    retryable: false,
    hint: 'A window of the session, if it has one, can still be thawed.',
  },
  BranchNotFound: {
    code: 'CWM-2006',
    status: 404,
    retryable: false,
    hint: 'List the branches of the session to see which exist.',
  },
  MessageNotFound: { code: 'CWM-2007', status: 404, retryable: false, hint: 'Reload the session.' },
  RouteNotFound: {
    code: 'CWM-2008',
    status: 404,
    retryable: false,
    hint: 'The client and the backend may be of different versions; stop the backend and try again.',
  },
  PathNotFound: { code: 'CWM-2009', status: 404, retryable: false, hint: 'Check the path.' },
  PromptNotFound: {
    code: 'CWM-2012',
    status: 404,
    retryable: false,
    hint: 'List the system prompts to see which exist.',
  },
  MethodNotAllowed: {
    code: 'CWM-2013',
    status: 405,
    retryable: false,
    hint: 'The header "allow" of the answer has the methods of this path.',
  },
  InvalidTransition: {
    code: 'CWM-3001',
    status: 409,
    retryable: false,
    hint: 'Wait until the session is idle, or thaw it first.',
  },
  AlreadyFrozen: {
    code: 'CWM-3002',
    status: 409,
    retryable: false,
    hint: 'Resume the session, or thaw one of its windows.',
  },
  WindowExists: {
    code: 'CWM-3003',
    status: 409,
    retryable: false,
    hint: 'Choose another name, or delete that window first.',
  },
  SessionExists: { code: 'CWM-3004', status: 409, retryable: false, hint: 'Choose another id.' },
  BranchExists: { code: 'CWM-3005', status: 409, retryable: false, hint: 'Choose another name.' },
  BranchInUse: {
    code: 'CWM-3006',
    status: 409,
    retryable: false,
    hint: 'Switch to another branch first. The branch "main" stays.',
  },
  OtherProject: {
    code: 'CWM-3101',
    status: 409,
    retryable: false,
    hint: "Open that project's folder first, or set strict_mode to false in .cwm/config.json.",
  },
  VersionConflict: {
    code: 'CWM-3103',
    status: 409,
    retryable: true,
    hint: 'Somebody else changed it; read it again and retry.',
  },
  NotInitialized: { code: 'CWM-3104', status: 409, retryable: false, hint: 'Activate a session first, or name one.' },
  SyncConflict: {
    code: 'CWM-3107',
    status: 409,
    retryable: false,
    hint: 'Choose what to keep: keep-latest, keep-oldest or merge.',
  },
  PrefixWouldBreak: {
    code: 'CWM-3108',
    status: 409,
    retryable: false,
    hint: 'Confirm the change with "breakPrefix" ("--break-prefix" of cwm), or leave the session as it is; nothing was changed.',
  },
  WriteFailed: {
    code: 'CWM-4001',
    status: 500,
    retryable: true,
    hint: 'Check the storage directory and its permissions.',
  },
  ReadFailed: {
    code: 'CWM-4002',
    status: 500,
    retryable: true,
    hint: 'Check the storage directory and its permissions.',
  },
  StorageFull: {
    code: 'CWM-4003',
    status: 507,
    retryable: false,
    hint: 'Free some disk space and try again; nothing was changed.',
  },
  Corrupted: {
    code: 'CWM-4004',
    status: 500,
    retryable: false,
    hint: 'Run verify to see what is damaged; the damaged file was set aside, not deleted.',
  },
  RecoveryFailed: {
    code: 'CWM-4101',
    status: 409,
    retryable: false,
    hint: 'Choose another recovery point; the session is as it was.',
  },
  SyncFailed: {
    code: 'CWM-4102',
    status: 502,
    retryable: true,
    hint: 'Check the folder to synchronise with; the session keeps the state it had.',
  },
  EngineUnavailable: {
    code: 'CWM-5001',
    status: 502,
    retryable: true,
    hint: 'Start the model server, or check its URL.',
  },
  ModelMismatch: {
    code: 'CWM-5003',
    status: 409,
    retryable: false,
    hint: 'Serve the model that the conversation was made with, or thaw its window and insist, to continue with another model.',
  },
  EngineFailed: {
    code: 'CWM-5004',
    status: 502,
    retryable: true,
    hint: "Look at the model server's log; the request can be tried again.",
  },
  NotAnEngine: {
    code: 'CWM-5005',
    status: 502,
    retryable: false,
    hint: 'Check that the URL is that of a model server that speaks the OpenAI API.',
  },
  EngineDenied: { code: 'CWM-5006', status: 502, retryable: false, hint: 'Set the API key of the model server.' },
  EngineRejected: {
    code: 'CWM-5007',
    status: 502,
    retryable: false,
    hint: 'The model server refused the request; its reason is in the message.',
  },
  NoEngineBinary: {
    code: 'CWM-5009',
    status: 501,
    retryable: false,
    hint: 'Use a model server, or install the package for this platform.',
  },
  BackendUnavailable: {
    code: 'CWM-5010',
    status: 503,
    retryable: true,
    hint: 'Run the command again; if it keeps failing, check the log.',
  },
  StreamCut: {
    code: 'CWM-5101',
    status: 502,
    retryable: true,
    hint: 'The answer ended early, and its beginning was not stored. Send again.',
  },
  EmptyAnswer: {
    code: 'CWM-5102',
    status: 502,
    retryable: true,
    hint: 'Allow a longer answer (--max-tokens, or the setting "cwm.answer.maxTokens"), and send again.',
  },
  EngineTimeout: {
    code: 'CWM-6001',
    status: 504,
    retryable: true,
    hint: 'The model server did not answer in time; raise the time-out if prefill takes longer.',
  },
  OperationTimeout: { code: 'CWM-6002', status: 504, retryable: true, hint: 'Try again.' },
  Cancelled: { code: 'CWM-6003', status: 499, retryable: true, hint: 'It was cancelled; nothing was changed.' },
  RequestTimeout: {
    code: 'CWM-6004',
    status: 408,
    retryable: true,
    hint: 'Send the whole request at once.',
  },
  TooManyRequests: { code: 'CWM-7002', status: 429, retryable: true, hint: 'Wait for a moment and try again.' },
  TooManyOperations: { code: 'CWM-7003', status: 429, retryable: true, hint: 'Wait for a running operation to end.' },
  Exhausted: {
    code: 'CWM-7010',
    status: 409,
    retryable: false,
    hint: 'Delete what is no longer needed, and try again.',
  },
  ContextTooLong: {
    code: 'CWM-7011',
    status: 413,
    retryable: false,
    hint: 'Use fewer files, or a model with a longer context.',
  },
  BodyTooLarge: { code: 'CWM-7012', status: 413, retryable: false, hint: 'Send less at once.' },
  PinsTooLong: {
    code: 'CWM-7013',
    status: 413,
    retryable: false,
    hint: 'Unpin pages ("cwm memory unpin"), or give the session a higher limit; nothing was sent.',
  },
  AccessDenied: {
    code: 'CWM-8001',
    status: 403,
    retryable: false,
    hint: 'The backend belongs to another user, or the token is wrong.',
  },
  EncryptionKey: {
    code: 'CWM-8003',
    status: 403,
    retryable: false,
    hint: 'Name the key file that the store was encrypted with.',
  },
  TlsRequired: {
    code: 'CWM-8004',
    status: 403,
    retryable: false,
    hint: 'Use https://, or a tunnel to this machine. If you trust the network, turn off "cwm.requireTls" (CWM_REQUIRE_TLS=off).',
  },
  TokenRequired: {
    code: 'CWM-8005',
    status: 401,
    retryable: false,
    hint: 'Send "authorization: Bearer TOKEN"; the file that "cwm serve" names has the token.',
  },
  Internal: { code: 'CWM-9001', status: 500, retryable: false, hint: 'This is a bug; the log has the details.' },
} as const satisfies Record<string, { code: `CWM-${number}`; status: number; retryable: boolean; hint: string }>;

/** What the code calls an error; the wire, logs and people have its {@link ErrorCode}. */
export type ErrorName = keyof typeof errors;
export type ErrorCode = (typeof errors)[ErrorName]['code'];

const namesByCode = new Map<string, ErrorName>(
  (Object.keys(errors) as ErrorName[]).map((name) => [errors[name].code, name]),
);

/** Null for a code that this version does not know. */
export const errorNameOf = (code: string): ErrorName | null => namesByCode.get(code) ?? null;

/** What a user, a script or another process learns about a failure. Never contains secrets, stacks or internals. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly hint: string;
  /** Facts for scripts: ids, sizes, limits. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface CwmErrorOptions {
  /** What to do next, when it is better than the code's own hint. */
  readonly hint?: string;
  /** Facts for scripts: ids, sizes, limits. Shown to the user, so no secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** For the log only; it never leaves the process. */
  readonly cause?: unknown;
}

/** The one error class that crosses a layer. Match on `name`, never on the message. */
export class CwmError extends Error {
  override readonly name: ErrorName;
  readonly hint: string;
  readonly context: Readonly<Record<string, unknown>> | undefined;

  constructor(name: ErrorName, message: string, options: CwmErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = name;
    this.hint = options.hint ?? errors[name].hint;
    this.context = options.context;
  }

  get code(): ErrorCode {
    return errors[this.name].code;
  }

  get retryable(): boolean {
    return errors[this.name].retryable;
  }

  report(): ErrorReport {
    const { code, message, retryable, hint, context } = this;
    return { code, message, retryable, hint, ...(context && { details: context }) };
  }

  static fromReport({ code, message, hint, details }: ErrorReport): CwmError {
    return new CwmError(errorNameOf(code) ?? 'Internal', message, { hint, ...(details && { context: details }) });
  }
}

/** Whether it is one of these errors; with no names, whether it is a {@link CwmError} at all. */
export function isCwmError(error: unknown, ...names: readonly ErrorName[]): error is CwmError {
  return error instanceof CwmError && (names.length === 0 || names.includes(error.name));
}

/** The value, or null where reading it fails with one of these errors: a damaged or deleted record is no failure there. */
export async function nullOn<T>(
  reading: Promise<T>,
  ...names: readonly [ErrorName, ...ErrorName[]]
): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isCwmError(error, ...names)) return null;
    throw error;
  }
}

/** Whether an engine could not be reached, refused, or did not answer in time: work that does not need its answer continues. */
export const isEngineFailure = ({ code, name }: CwmError): boolean =>
  code.startsWith('CWM-5') || name === 'EngineTimeout';

/** Any thrown value as a {@link CwmError}: an abort becomes `Cancelled`, an unforeseen error `Internal`. */
export function toCwmError(error: unknown): CwmError {
  if (error instanceof CwmError) return error;
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return error.name === 'TimeoutError'
      ? new CwmError('OperationTimeout', 'The operation took too long and was stopped.', { cause: error })
      : new CwmError('Cancelled', 'The operation was cancelled.', { cause: error });
  }
  return new CwmError('Internal', 'Something went wrong inside the backend.', { cause: error });
}
