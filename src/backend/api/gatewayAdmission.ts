import type { IncomingHttpHeaders } from 'node:http';
import { CwmError } from '../../protocol/errors.ts';
import { admitSender } from './admission.ts';
import type { HttpAddress } from './httpAddress.ts';
import { isSameSecret } from './sameSecret.ts';

/**
 * Refuses a request to the gateway that no client of the user's sent. Its token may stand in any of the places in which clients can put one:
 * as a bearer token, in a header of its own, or in the path.
 *
 * @throws CwmError AccessDenied for `Host` and `Origin`, TokenRequired.
 */
export function admitToGateway(
  headers: IncomingHttpHeaders,
  inPath: string | null,
  { address, tokens }: { readonly address: HttpAddress; readonly tokens: readonly string[] },
): void {
  admitSender((name) => one(headers[name]), address);
  const bearer = /^Bearer (\S+)$/i.exec(one(headers['authorization']) ?? '')?.[1];
  const given = [bearer, one(headers['x-api-key']), one(headers['api-key']), one(headers['x-cwm-token']), inPath];
  const isKnown = given.some((each) => each && tokens.some((token) => isSameSecret(each, token)));
  if (!isKnown) {
    throw new CwmError('TokenRequired', 'The request does not carry a token of this gateway.', {
      hint: 'Give the client the token as its API key, or put it into the path: /t/TOKEN/v1.',
    });
  }
}

const one = (value: string | string[] | undefined): string | null =>
  (Array.isArray(value) ? value.join(', ') : value) ?? null;
