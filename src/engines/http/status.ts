import { CwmError } from '../../protocol/errors.ts';
import { parseLoosely, serverReason } from './errorWords.ts';

/** An answer that is no success, as far as it was read. */
export interface RefusedAnswer {
  readonly status: number;
  readonly location: string | null;
  readonly text: string;
  readonly label: string;
  readonly path: string;
  readonly keySent: boolean;
  /** When the server wants to be asked again, in milliseconds from now. Default: it does not say. */
  readonly retryAfterMs?: number | null;
}

/** vLLM names the parameter at fault; where no new token fits, it complains of a `max_tokens` of 0. */
function isTooLong(text: string, reason: string): boolean {
  const param = paramOf(parseLoosely(text));
  return (
    param === 'input_tokens' ||
    (param === 'max_tokens' && /at least 1\b/.test(reason)) ||
    /maximum context length|max_model_len|context[ _](length|size|window)[^.]*exceed|exceed(s|ed|ing)?[^.]{0,40}\bcontext|longer than the maximum/i.test(
      reason,
    )
  );
}

function paramOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return null;
  const { error, param } = value as Readonly<Record<string, unknown>>;
  return param ?? paramOf(error);
}

/** @returns the error that a status other than 2xx means. */
export function statusError(refusal: RefusedAnswer): CwmError {
  const { status, label, path, keySent, retryAfterMs = null } = refusal;
  const reason = serverReason(refusal.text);
  // The sentence that it stands in ends with a full stop of its own.
  const said = reason === '' ? '' : `: ${reason.replace(/\.\s*$/, '')}`;
  const context = { engine: label, status, path };
  const options = { context };
  const later = { context: { ...context, transient: true, ...(retryAfterMs !== null && { retryAfterMs }) } };
  if (status >= 300 && status < 400) return redirectError(refusal);
  if (status === 401 || status === 403) {
    return keySent
      ? new CwmError('EngineDenied', `The model server at ${label} does not accept the API key that was sent${said}.`, {
          ...options,
          hint: 'Correct the API key of the model server.',
        })
      : new CwmError('EngineDenied', `The model server at ${label} wants an API key and none is set${said}.`, options);
  }
  // Web servers before the model server say it like this; without one, the connection just ends.
  if (
    status === 400 &&
    label.startsWith('http:') &&
    /\bplain http\b|http request to an https server/i.test(refusal.text)
  ) {
    return new CwmError('EngineUnavailable', `The server at ${label} speaks TLS, and was asked without.`, {
      ...options,
      hint: 'Give its URL as https://.',
    });
  }
  if (status === 404) {
    return /\bmodel\b/i.test(reason)
      ? new CwmError('ModelMismatch', `The model server at ${label} no longer serves that model${said}.`, options)
      : new CwmError('NotAnEngine', `The server at ${label} has no ${path}${said}.`, options);
  }
  if (status === 405 || status === 501)
    return new CwmError('NotAnEngine', `The server at ${label} has no ${path}${said}.`, options);
  if (status === 408 || status === 425 || status === 429)
    return new CwmError('EngineFailed', `The model server at ${label} is too busy (HTTP ${status})${said}.`, {
      ...later,
      hint: 'Wait a moment and try again.',
    });
  if (status >= 500)
    return new CwmError(
      'EngineFailed',
      `The model server at ${label} failed with HTTP ${status}${said}.`,
      retryAfterMs === null ? options : later,
    );
  // vLLM 0.32 says 400 when its own logits are NaN: that is what reusing a damaged KV block looks like.
  if (/not JSON compliant/i.test(reason))
    return new CwmError('EngineFailed', `The model server at ${label} computed what are no numbers${said}.`, {
      ...options,
      hint: 'KV that it reuses is damaged: thaw the window again to repair it.',
    });
  if (isTooLong(refusal.text, reason))
    return new CwmError('ContextTooLong', `The conversation and the answer are too long for this model${said}.`, {
      ...options,
      hint: 'Ask for a shorter answer (--max-tokens), use fewer files, or continue in a new session.',
    });
  return new CwmError(
    'EngineRejected',
    `The model server at ${label} refused the request (HTTP ${status})${said}.`,
    options,
  );
}

/** Following one could carry the API key and the conversation to another host, so none is followed. */
function redirectError({ status, location, label, path }: RefusedAnswer): CwmError {
  const target = location === null ? 'elsewhere' : `to ${location.slice(0, 200)}`;
  return new CwmError(
    'NotAnEngine',
    `${label}${path} redirects ${target} (HTTP ${status}); redirects are not followed.`,
    {
      hint: "Give the model server's final URL.",
      context: { engine: label, status, path },
    },
  );
}
