import type { Agent, IncomingMessage, RequestOptions } from 'node:http';
import type { BackendRecord } from '../protocol/backendRecord.ts';
import { connectProven, keepProven, nodeHttp, takeProven } from './provenConnection.ts';
import { signalsHeader } from '../protocol/operationEvents.ts';
import { CwmError, toCwmError } from '../protocol/errors.ts';

export interface BackendRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With its query. */
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BackendAnswer {
  readonly status: number;
  readonly body: string;
  /** Sequence of the last signal that the answered change caused; null when the backend does not say. */
  readonly signals: number | null;
}

/** The connection failed. Unless it was `sent`, the backend has not seen the request and it can be made again. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly sent: boolean;

  constructor(sent: boolean, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.sent = sent;
  }
}

export interface RequestLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One request. Only a GET, which changes nothing, goes over a connection that served another one before: the backend may close such a
 * connection just when a request goes out, nobody knows then whether it saw the request, and it is sent again over a connection of its
 * own.
 *
 * @param read takes the answer; default {@link readAnswer}.
 * @throws TransportError, CwmError OperationTimeout after `timeoutMs`, Cancelled when aborted (the backend then aborts its work).
 */
export async function requestBackend(
  record: BackendRecord,
  request: BackendRequest,
  limits: RequestLimits,
  read: (response: IncomingMessage) => Promise<BackendAnswer> = readAnswer,
): Promise<BackendAnswer> {
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  const signal = limits.signal ? AbortSignal.any([limits.signal, timeout]) : timeout;
  try {
    return await read(await (request.method === 'GET' ? openReading : openResponse)(record, request, signal));
  } catch (error) {
    if (timeout.aborted) {
      const message = `The backend did not answer within ${Math.round(limits.timeoutMs / 1000)} s.`;
      throw new CwmError('OperationTimeout', message, { cause: error });
    }
    if (signal.aborted) throw toCwmError(signal.reason);
    throw error;
  }
}

/**
 * Resolves with the head of the answer; its body is still to be read. Aborting `signal` ends both. The connection is the request's own.
 * Where the record has a token, the other end first proves that it knows it.
 */
export async function openResponse(
  record: BackendRecord,
  request: BackendRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  // Every backend on Windows has one: without it, any program could have made the pipe.
  if (record.token === undefined && process.platform === 'win32') throw new TransportError(false, 'no token');
  const agent = record.token === undefined ? false : await proven(record.address, record.token, signal);
  return send(record, request, { agent, signal });
}

/** As {@link openResponse}, over a proved connection that waits for another request, where there is one. It waits again afterwards. */
async function openReading(
  record: BackendRecord,
  request: BackendRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { address, token } = record;
  if (token === undefined) return openResponse(record, request, signal);
  const onRead = (agent: Agent): void => keepProven(agent, address, token);
  const kept = takeProven(address, token);
  if (kept) {
    try {
      return await send(record, request, { agent: kept, signal, onRead });
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }
  return send(record, request, { agent: await proven(address, token, signal), signal, onRead });
}

interface Way {
  /** False: a connection without a proof. */
  readonly agent: Agent | false;
  readonly signal: AbortSignal;
  /** Takes the agent once the answer was read to its end. Default: its connection ends. */
  readonly onRead?: (agent: Agent) => void;
}

function send(
  record: BackendRecord,
  request: BackendRequest,
  { agent, signal, onRead }: Way,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let sent = false;
    let answer: IncomingMessage | undefined;
    const options: RequestOptions = {
      socketPath: record.address,
      method: request.method,
      path: request.path,
      headers: {
        ...(record.token === undefined ? {} : { authorization: `Bearer ${record.token}` }),
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
        ...(onRead ? {} : { connection: 'close' }),
      },
      agent,
      signal,
    };
    const outgoing = nodeHttp.request(options, (response) => resolve((answer = response)));
    outgoing.once('close', () => {
      if (agent && onRead && answer?.complete && outgoing.shouldKeepAlive) onRead(agent);
      // The connection would look like a client that listens for as long as the backend waits for more.
      else if (agent) agent.destroy();
    });
    outgoing.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => (sent = true));
      else sent = true;
    });
    outgoing.once('error', (error) => reject(new TransportError(sent, error)));
    outgoing.end(request.body);
  });
}

async function proven(address: string, token: string, signal: AbortSignal): Promise<Agent> {
  try {
    return await connectProven(address, token, signal);
  } catch (error) {
    throw new TransportError(false, error);
  }
}

/** The whole answer. @throws TransportError when the connection breaks. */
export async function readAnswer(response: IncomingMessage): Promise<BackendAnswer> {
  const signals = Number(response.headers[signalsHeader] ?? Number.NaN);
  return {
    status: response.statusCode ?? 0,
    body: await readBody(response),
    signals: Number.isSafeInteger(signals) ? signals : null,
  };
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Uint8Array);
  } catch (error) {
    throw new TransportError(true, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}
