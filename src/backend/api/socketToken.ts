import { CwmError } from '../../protocol/errors.ts';
import { isSameSecret } from './sameSecret.ts';

/** @param authorization the header of the request. @throws CwmError AccessDenied unless it carries this bearer token. */
export function checkToken(authorization: string | null | undefined, token: string): void {
  if (isSameSecret(authorization ?? '', `Bearer ${token}`)) return;
  throw new CwmError('AccessDenied', 'The request does not carry the token of this backend.');
}
