import type { IncomingHttpHeaders } from 'node:http';
import { CwmError } from '../../protocol/errors.ts';
import { admitSender } from './admission.ts';
import type { HttpAddress } from './httpAddress.ts';
import { isSameSecret } from './sameSecret.ts';

/**
 * Refuses a request to the gateway that no client of the user's sent. Its token may stand in any of the places in which clients can put one:
 * as a bearer token, in a header of its own, or in the path.
 *
 * @returns the client whose token it is; null for the token of the file.
 * @throws CwmError TokenRequired.
 */
export function admitToGateway(
  headers: IncomingHttpHeaders,
  inPath: string | null,
  { token, clientOf }: { readonly token: string; readonly clientOf: (token: string) => string | null },
): string | null {
  const bearer = /^Bearer (\S+)$/i.exec(one(headers['authorization']) ?? '')?.[1];
  const given = [bearer, one(headers['x-api-key']), one(headers['api-key']), one(headers['x-cwm-token']), inPath];
  for (const each of given) {
    if (!each) continue;
    if (isSameSecret(each, token)) return null;
    const client = clientOf(each);
    if (client !== null) return client;
  }
  throw new CwmError('TokenRequired', 'The request does not carry a token of this gateway.', {
    hint: 'Give the client the token as its API key, or put it into the path: /t/TOKEN/v1.',
  });
}

/** Refuses what a page in a browser sends. @throws CwmError AccessDenied. */
export const admitToPage = (headers: IncomingHttpHeaders, address: HttpAddress): void =>
  admitSender((name) => one(headers[name]), address);

const one = (value: string | string[] | undefined): string | null =>
  (Array.isArray(value) ? value.join(', ') : value) ?? null;
