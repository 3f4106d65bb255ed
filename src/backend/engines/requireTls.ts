import { parseEndpoint } from '../../engines/http/address.ts';
import { CwmError } from '../../protocol/errors.ts';

/**
 * Conversations and API keys would travel in clear to another machine.
 *
 * @throws CwmError TlsRequired for plain http to any other machine than this one.
 */
export function requireTls(url: string): void {
  const { origin, loopback, label } = parseEndpoint(url);
  if (loopback || origin.startsWith('https:')) return;
  throw new CwmError(
    'TlsRequired',
    `${label} is on another machine and has no https: conversations and the API key would travel in clear.`,
  );
}
