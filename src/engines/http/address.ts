import { CwmError } from '../../protocol/errors.ts';

/** The present address of a model server. */
export interface EngineAddress {
  /** `http(s)://host:port`, with a base path if it has one; a trailing `/v1` is understood. */
  readonly url: string;
  /** Sent as a bearer token; wins over the API key of the settings. */
  readonly token?: string;
  /** True when the giver of the address also starts the server, so that a second call may restart it. */
  readonly managed?: boolean;
}

/**
 * Asked once for each operation, and again after a connection failure. May start the server, so it may take seconds.
 *
 * @param refusedAt the address that was given before, where nobody listens there now.
 * @throws CwmError when no server can be found or started.
 */
export type Connect = (signal: AbortSignal, refusedAt?: string) => Promise<EngineAddress>;

/** The parts of an address: origin, prefix of each path, and a name for people (no credentials). */
export interface Endpoint {
  readonly origin: string;
  readonly basePath: string;
  readonly label: string;
  readonly loopback: boolean;
}

/** @throws CwmError InvalidParameter when it is not an http(s) URL. */
export function parseEndpoint(url: string): Endpoint {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (!parsed || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new CwmError('InvalidParameter', `${JSON.stringify(url.slice(0, 200))} is not an http or https URL.`, {
      hint: 'Give the model server as http://host:port.',
    });
  }
  const basePath = parsed.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  return {
    origin: parsed.origin,
    basePath,
    label: parsed.origin + basePath,
    loopback: /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname),
  };
}
