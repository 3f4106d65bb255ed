import { CwmError } from '../../protocol/errors.ts';

/**
 * Why no answer came. `refused`: nobody listens, so the request never arrived. `lost`: the connection ended before the
 * answer began, so the request may have been worked on. No other failure leads to a retry.
 */
export type FailureKind = 'refused' | 'lost' | 'tls' | 'unreachable' | 'protocol' | 'other';

const lostCodes = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNABORTED']);
const unreachableCodes = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export function classifyFailure(error: unknown): FailureKind {
  const code = errorCode(error);
  if (code === 'ECONNREFUSED') return 'refused';
  if (/^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code)) return 'tls';
  if (lostCodes.has(code)) return 'lost';
  if (unreachableCodes.has(code)) return 'unreachable';
  // Some of undici's parser errors have no code.
  if (
    code.startsWith('HPE_') ||
    (error instanceof Error && error.name === 'HTTPParserError') ||
    code === 'UND_ERR_HEADERS_OVERFLOW'
  )
    return 'protocol';
  return 'other';
}

/** The error for a request that got no answer at all. */
export function failureError(error: unknown, label: string): CwmError {
  const options = { cause: error, context: { engine: label, reason: errorCode(error) } };
  switch (classifyFailure(error)) {
    case 'refused':
      return new CwmError('EngineUnavailable', `Nothing listens at ${label}.`, options);
    case 'lost':
      return new CwmError(
        'EngineUnavailable',
        `The model server at ${label} closed the connection without an answer.`,
        {
          ...options,
          context: { ...options.context, transient: true },
          hint: `It may have crashed or restarted: look at the model server's log, then try again.${tlsHint(label)}`,
        },
      );
    case 'tls':
      return new CwmError('EngineUnavailable', `No secure connection to ${label}: ${tlsReason(errorCode(error))}.`, {
        ...options,
        hint: 'Correct the certificate, name its authority in NODE_EXTRA_CA_CERTS, or use http:// if the server speaks no TLS.',
      });
    case 'protocol':
      return new CwmError('NotAnEngine', `What answers at ${label} does not speak HTTP.`, options);
    default:
      return new CwmError(
        'EngineUnavailable',
        `The model server at ${label} cannot be reached (${errorCode(error) || 'unknown reason'}).`,
        options,
      );
  }
}

/** A server that speaks TLS closes a connection without TLS. */
const tlsHint = (label: string): string =>
  label.startsWith('http:') ? ' If it speaks TLS there, give its URL as https://.' : '';

function tlsReason(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return 'its certificate is for another host name';
  if (/^(DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)) return 'its certificate is not signed by a trusted authority';
  if (/^(EPROTO|ERR_SSL)/.test(code)) return 'it does not speak TLS there';
  return `its certificate was not accepted (${code})`;
}

/** With `localhost`, Node tries two addresses and reports one error for both: then the code is that of the parts. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code, errors } = error as Error & { code?: unknown; errors?: unknown };
  if (typeof code === 'string') return code;
  return Array.isArray(errors) ? errorCode(errors[0]) : '';
}
