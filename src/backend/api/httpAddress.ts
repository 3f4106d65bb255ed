import { BlockList, isIP, isIPv6 } from 'node:net';
import { CwmError } from '../../protocol/errors.ts';

export interface HttpAddress {
  /** A name or an address, without the brackets of IPv6. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether only this machine can reach it. Of all names only `localhost` counts: others may lead elsewhere tomorrow. */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' || (isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'));

/** As it stands in a URL or in `Host`. */
export const hostInUrl = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

/**
 * Reads `[HOST:]PORT`. The default host is 127.0.0.1. An IPv6 address stands in brackets.
 *
 * @param remote whether other machines may reach it.
 * @throws CwmError InvalidConfig for another form, and for a host beyond loopback unless `remote`.
 */
export function parseHttpAddress(written: string, remote: boolean): HttpAddress {
  const [, bracketed, name, digits] = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):)?(\d{1,5})$/.exec(written) ?? [];
  const host = bracketed ?? name ?? '127.0.0.1';
  const port = Number(digits);
  if (digits === undefined || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new CwmError('InvalidConfig', `--http must be [HOST:]PORT, for example 8765; "${written}" is not.`);
  }
  if (!remote && !isLoopback(host)) {
    throw new CwmError('InvalidConfig', `--http ${written} would let other machines connect, without encryption.`, {
      hint: 'Name a loopback address. To insist, add --http-remote on, and put a proxy with TLS in front of it.',
    });
  }
  return { host, port };
}
