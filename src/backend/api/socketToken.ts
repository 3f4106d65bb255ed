import { CwmError } from '../../protocol/errors.ts';
import { isSameSecret } from './sameSecret.ts';

/** @throws CwmError AccessDenied unless the request carries this bearer token. */
export function checkToken(headers: Headers, token: string): void {
  if (isSameSecret(headers.get('authorization') ?? '', `Bearer ${token}`)) return;
  throw new CwmError('AccessDenied', 'The request does not carry the token of this backend.');
}
