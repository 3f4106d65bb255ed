import type { ServerResponse } from 'node:http';
import { errors, toCwmError, type CwmError } from '../../protocol/errors.ts';
import type { AnswerError } from '../formats/answerError.ts';

/** The form in which a client reads errors. */
export type ErrorForm = 'openai' | 'anthropic' | 'json-rpc';

export function errorFormOf(path: string): ErrorForm {
  if (/^\/mcp(\?|$)/.test(path)) return 'json-rpc';
  return /^\/v1\/messages(\/|\?|$)/.test(path) ? 'anthropic' : 'openai';
}

/** Answers an error of the gateway in the client's own form. Nothing happens once an answer has begun. */
export function answerFailure(res: ServerResponse, thrown: unknown, form: ErrorForm): void {
  if (res.headersSent || res.destroyed) return void res.destroy();
  const error = toCwmError(thrown);
  const { status } = errors[error.name];
  const body = JSON.stringify(inForm[form](error, status));
  const seconds = error.context?.['retry_after_seconds'];
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    // A second try would get the same answer.
    ...(status < 500 && { 'x-should-retry': 'false' }),
    ...(typeof seconds === 'number' && { 'retry-after': String(seconds) }),
    ...(error.name === 'TokenRequired' && { 'www-authenticate': 'Bearer' }),
  });
  res.end(body);
  endUnread(res);
}

/** How long the rest of a refused request's body may take. Cut at once, a client that still sends would not see the answer. */
const restMs = 1000;

/** A body that comes slowly or without end must not hold one of the few connections after its refusal. */
function endUnread({ req }: ServerResponse): void {
  if (req.complete) return;
  const { socket } = req;
  const timer = setTimeout(() => socket.destroy(), restMs);
  req.once('end', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
  req.resume();
}

const messageWithHint = ({ message, hint }: CwmError): string => [message, hint].filter(Boolean).join(' ');

/** For the end of a stream that has begun. */
export function errorOf(thrown: unknown): AnswerError {
  const error = toCwmError(thrown);
  return { message: messageWithHint(error), type: 'api_error', code: errors[error.name].status };
}

const openAiError = (error: CwmError, status: number): object => ({
  error: { message: messageWithHint(error), type: typeOf(status), param: null, code: error.code },
});

const anthropicError = (error: CwmError, status: number): object => ({
  type: 'error',
  error: { type: status === 401 ? 'authentication_error' : typeOf(status), message: messageWithHint(error) },
});

/** Of the codes that the form has, this one says that the request was refused before any method saw it. */
const rpcError = (error: CwmError): object => ({
  jsonrpc: '2.0',
  error: { code: -32_600, message: messageWithHint(error), data: error.report() },
  id: null,
});

const inForm: Readonly<Record<ErrorForm, (error: CwmError, status: number) => object>> = {
  openai: openAiError,
  anthropic: anthropicError,
  'json-rpc': rpcError,
};

function typeOf(status: number): string {
  if (status === 401 || status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'api_error';
}
