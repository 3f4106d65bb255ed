/** A row of the table: code, HTTP status, hint. */
const row =
  <Retryable extends boolean>(isRetryable: Retryable) =>
  <Code extends `CWM-${number}`>(code: Code, status: number, hint: string) => ({
    code,
    status,
    retryable: isRetryable,
    hint,
  });
const final = row(false);
const retryable = row(true);

/**
 * Every way an operation can fail, once. The family is the first digit: 1 validation, 2 not found, 3 state, 4 storage,
 * 5 connection, 6 time-out, 7 resource, 8 security, 9 internal (S0-70).
 *
 * `retryable` says whether the same call may succeed later with nothing changed. `hint` is what the user can do; a place
 * that knows more gives a better one when it throws.
 */
export const errors = {
  InvalidSessionId: final('CWM-1001', 400, 'Use 1 to 64 of A–Z, a–z, 0–9, "_" and "-".'),
  InvalidWindowName: final('CWM-1002', 400, 'Use 1 to 128 of A–Z, a–z, 0–9, "_" and "-".'),
  InvalidParameter: final('CWM-1003', 400, 'Correct the named parameter and try again.'),
  UnsupportedSchema: final(
    'CWM-1004',
    409,
    'The data was written by another version; update the extension, or move the storage directory away.',
  ),
  InvalidConfig: final('CWM-1101', 400, 'Correct the named setting.'),
  InvalidDirectory: final('CWM-1102', 400, 'Name a folder that exists, by its absolute path.'),
  InvalidState: final('CWM-1103', 400, 'Correct what is named, and store it again; nothing was changed.'),
  NotAModel: final('CWM-1201', 400, 'Choose a GGUF file that llama.cpp can load.'),
  SessionNotFound: final('CWM-2001', 404, 'List the sessions to see which exist.'),
  WindowNotFound: final('CWM-2002', 404, 'List the windows ("cwm list") to see which exist.'),
  RecoveryPointNotFound: final('CWM-2004', 404, 'List the recovery points of the session to see which exist.'),
  NoValidRecoveryPoint: final('CWM-2005', 404, 'A window of the session, if it has one, can still be thawed.'),
  BranchNotFound: final('CWM-2006', 404, 'List the branches of the session to see which exist.'),
  MessageNotFound: final('CWM-2007', 404, 'Reload the session.'),
  RouteNotFound: final(
    'CWM-2008',
    404,
    'The client and the backend may be of different versions; stop the backend and try again.',
  ),
  PathNotFound: final('CWM-2009', 404, 'Check the path.'),
  PromptNotFound: final('CWM-2012', 404, 'List the system prompts to see which exist.'),
  MethodNotAllowed: final('CWM-2013', 405, 'The header "allow" of the answer has the methods of this path.'),
  AmbiguousSession: final('CWM-2014', 409, 'Give more characters of the id; nothing was changed.'),
  InvalidTransition: final('CWM-3001', 409, 'Wait until the session is idle, or thaw it first.'),
  AlreadyFrozen: final('CWM-3002', 409, 'Resume the session, or thaw one of its windows.'),
  WindowExists: final('CWM-3003', 409, 'Choose another name, or delete that window first.'),
  SessionExists: final('CWM-3004', 409, 'Choose another id.'),
  BranchExists: final('CWM-3005', 409, 'Choose another name.'),
  BranchInUse: final('CWM-3006', 409, 'Switch to another branch first. The branch "main" stays.'),
  OtherProject: final(
    'CWM-3101',
    409,
    "Open that project's folder first, or set strict_mode to false in .cwm/config.json.",
  ),
  VersionConflict: retryable('CWM-3103', 409, 'Somebody else changed it; read it again and retry.'),
  NotInitialized: final('CWM-3104', 409, 'Activate a session first, or name one.'),
  SyncConflict: final('CWM-3107', 409, 'Choose what to keep: keep-latest, keep-oldest or merge.'),
  PrefixWouldBreak: final(
    'CWM-3108',
    409,
    'Confirm the change with "breakPrefix" ("--break-prefix" of cwm), or leave the session as it is; nothing was changed.',
  ),
  WriteFailed: retryable('CWM-4001', 500, 'Check the storage directory and its permissions.'),
  ReadFailed: retryable('CWM-4002', 500, 'Check the storage directory and its permissions.'),
  StorageFull: final('CWM-4003', 507, 'Free some disk space and try again; nothing was changed.'),
  Corrupted: final('CWM-4004', 500, 'Run verify to see what is damaged; the damaged file was set aside, not deleted.'),
  RecoveryFailed: final('CWM-4101', 409, 'Choose another recovery point; the session is as it was.'),
  SyncFailed: retryable('CWM-4102', 502, 'Check the folder to synchronise with; the session keeps the state it had.'),
  EngineUnavailable: retryable('CWM-5001', 502, 'Start the model server, or check its URL.'),
  ModelMismatch: final(
    'CWM-5003',
    409,
    'Serve the model that the conversation was made with, or thaw its window and insist, to continue with another model.',
  ),
  EngineFailed: retryable('CWM-5004', 502, "Look at the model server's log; the request can be tried again."),
  NotAnEngine: final('CWM-5005', 502, 'Check that the URL is that of a model server that speaks the OpenAI API.'),
  EngineDenied: final('CWM-5006', 502, 'Set the API key of the model server.'),
  EngineRejected: final('CWM-5007', 502, 'The model server refused the request; its reason is in the message.'),
  NoEngineBinary: final('CWM-5009', 501, 'Use a model server, or install the package for this platform.'),
  BackendUnavailable: retryable('CWM-5010', 503, 'Run the command again; if it keeps failing, check the log.'),
  StreamCut: retryable('CWM-5101', 502, 'The answer ended early, and its beginning was not stored. Send again.'),
  EmptyAnswer: retryable(
    'CWM-5102',
    502,
    'Allow a longer answer (--max-tokens, or the setting "cwm.answer.maxTokens"), and send again.',
  ),
  EngineTimeout: retryable(
    'CWM-6001',
    504,
    'The model server did not answer in time; raise the time-out if prefill takes longer.',
  ),
  OperationTimeout: retryable('CWM-6002', 504, 'Try again.'),
  Cancelled: retryable('CWM-6003', 499, 'It was cancelled; nothing was changed.'),
  RequestTimeout: retryable('CWM-6004', 408, 'Send the whole request at once.'),
  TooManyRequests: retryable('CWM-7002', 429, 'Wait for a moment and try again.'),
  TooManyOperations: retryable('CWM-7003', 429, 'Wait for a running operation to end.'),
  Exhausted: final('CWM-7010', 409, 'Delete what is no longer needed, and try again.'),
  ContextTooLong: final('CWM-7011', 413, 'Use fewer files, or a model with a longer context.'),
  BodyTooLarge: final('CWM-7012', 413, 'Send less at once.'),
  PinsTooLong: final(
    'CWM-7013',
    413,
    'Unpin pages ("cwm memory unpin"), or give the session a higher limit; nothing was sent.',
  ),
  AccessDenied: final('CWM-8001', 403, 'The backend belongs to another user, or the token is wrong.'),
  EncryptionKey: final('CWM-8003', 403, 'Name the key file that the store was encrypted with.'),
  TlsRequired: final(
    'CWM-8004',
    403,
    'Use https://, or a tunnel to this machine. If you trust the network, turn off "cwm.requireTls" (CWM_REQUIRE_TLS=off).',
  ),
  TokenRequired: final(
    'CWM-8005',
    401,
    'Send "authorization: Bearer TOKEN"; the file that "cwm serve" names has the token.',
  ),
  Internal: final('CWM-9001', 500, 'This is a bug; the log has the details.'),
};

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

/** Ends the hint of an error that cost a message its answer. */
export const draftKept = 'Your text is saved as a draft';
