import { timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { hostInUrl, isLoopback, type HttpAddress } from './httpAddress.ts';

export interface AdmissionRules {
  readonly address: HttpAddress;
  readonly token: string;
}

/**
 * Refuses a request over TCP that no client of the user's sent. A page in a browser can reach loopback too: `Host` stops a page whose
 * name was made to lead here (DNS rebinding), `Origin` one that says where it comes from, the token all others.
 *
 * @throws CwmError AccessDenied for `Host` and `Origin`, TokenRequired.
 */
export function admit(headers: Headers, { address, token }: AdmissionRules): void {
  admitSender((name) => headers.get(name), address);
  if (!isSameSecret(headers.get('authorization') ?? '', `Bearer ${token}`)) {
    throw new CwmError('TokenRequired', 'The request does not carry the token of this backend.');
  }
}

/** Of a request on the socket. @param authorization its header. @throws CwmError AccessDenied unless it carries this bearer token. */
export function checkToken(authorization: string | null | undefined, token: string): void {
  if (isSameSecret(authorization ?? '', `Bearer ${token}`)) return;
  throw new CwmError('AccessDenied', 'The request does not carry the token of this backend.');
}

/** The part of {@link admit} before the token. @throws CwmError AccessDenied. */
export function admitSender(header: (name: string) => string | null, address: HttpAddress): void {
  const host = header('host') ?? '';
  if (!isOwnHost(host, address)) {
    throw new CwmError('AccessDenied', 'The request names another host than this backend.', {
      hint: `Send the request to ${isLoopback(address.host) ? 'localhost or 127.0.0.1' : 'an address of this machine'}.`,
    });
  }
  const origin = header('origin');
  const isForeign = origin !== null && origin.toLowerCase() !== `http://${host.toLowerCase()}`;
  if (isForeign || header('sec-fetch-site') === 'cross-site') {
    throw new CwmError('AccessDenied', 'A page of another origin cannot call this backend.', {
      hint: 'Call it from a program, not from a page in a browser.',
    });
  }
}

/** An address cannot be made to lead elsewhere, as a name can. On loopback, only addresses of loopback count. */
function isOwnHost(header: string, { host, port }: HttpAddress): boolean {
  const [, bracketed, name, digits = '80'] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(header) ?? [];
  const named = (bracketed ?? name)?.toLowerCase();
  if (named === undefined || Number(digits) !== port) return false;
  if (named === host.toLowerCase() || hostInUrl(named) === host) return true;
  return isLoopback(host) ? isLoopback(named) : isIP(named) !== 0;
}

/** Compares digests, so that the time taken tells nothing about the secret. */
export const isSameSecret = (given: string, expected: string): boolean =>
  timingSafeEqual(Buffer.from(sha256Hex(given)), Buffer.from(sha256Hex(expected)));
