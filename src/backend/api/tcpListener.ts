import { join } from 'node:path';
import { SerialQueue } from '../../base/serialQueue.ts';
import { httpTokenFile } from '../../protocol/backendRecord.ts';
import { CwmError } from '../../protocol/errors.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import type { AppParts } from './app.ts';
import { hostInUrl, isLoopback, parseHttpAddress } from './httpAddress.ts';
import type { HttpListener } from './httpListener.ts';
import type { GatewayHandler } from './gatewayAdmission.ts';
import { serveHttp, type HttpWish } from './serveHttp.ts';

type Parts = Omit<AppParts, 'admit' | 'identity'>;

interface TcpWish {
  readonly storage: string;
  /** Null: only where the gateway's clients are. */
  readonly http?: HttpWish | null;
  /** That somebody named: it wins over the one that the clients know. Default: nobody did. */
  readonly gatewayPort?: number | null;
}

/** How long after the clients' port was taken the backend looks whether it is free. */
const tryAgainMs = 30_000;

/** Where the backend answers on TCP: at an address that the user names, and where the gateway's clients look for it. One may be both. */
export class TcpListener {
  readonly #wish: TcpWish;
  readonly #gateway: GatewayHandler | undefined;
  readonly #queue = new SerialQueue();
  readonly #parts = Promise.withResolvers<Parts>();
  #own: HttpListener | null = null;
  #clients: HttpListener | null = null;
  #clientsUrl: string | null = null;
  #again: NodeJS.Timeout | undefined;

  constructor(wish: TcpWish, gateway: GatewayHandler | undefined) {
    this.#wish = wish;
    this.#gateway = gateway;
  }

  /** `http://HOST:PORT`, the user's own first; null: it does not listen. */
  get url(): string | null {
    return this.#own?.url ?? this.#clientsUrl;
  }

  /**
   * An address that the user names must be had; that of the gateway's clients may be taken. The backend then serves its socket all the same,
   * and tries again from time to time.
   *
   * @throws CwmError InvalidConfig for the user's address.
   */
  async start(parts: Parts, onTaken: (error: unknown) => void): Promise<void> {
    const { http } = this.#wish;
    try {
      if (http) this.#own = await serveHttp(http, parts, this.#gateway);
    } finally {
      this.#parts.resolve(parts);
    }
    if (!this.#hasClients && !(this.#own && onLoopback(this.#own))) return;
    await this.open().catch((error: unknown) => {
      onTaken(error);
      this.#tryAgain();
    });
  }

  get #hasClients(): boolean {
    return (this.#gateway?.clientsAddress ?? null) !== null;
  }

  #tryAgain(): void {
    this.#again = setTimeout(() => {
      if (this.#hasClients) void this.open().catch(() => this.#tryAgain());
    }, tryAgainMs);
    this.#again.unref();
  }

  /** Listens for the gateway's clients, unless it listens already; waits for {@link start}. @returns its URL. @throws CwmError InvalidConfig. */
  open(): Promise<string> {
    return this.#queue.run(async () => {
      const parts = await this.#parts.promise;
      this.#clientsUrl ??= await this.#openFor(parts);
      this.#gateway?.listensAt(this.#clientsUrl);
      return this.#clientsUrl;
    });
  }

  async #openFor(parts: Parts): Promise<string> {
    const { storage, gatewayPort = null } = this.#wish;
    const known = this.#gateway?.clientsAddress ?? null;
    const named = gatewayPort === null || gatewayPort === 0 ? null : `127.0.0.1:${gatewayPort}`;
    const ownUrl = this.#own && onLoopback(this.#own);
    if (named === null && known === null && ownUrl) return ownUrl;
    const address = named ?? known ?? `127.0.0.1:${gatewayPort ?? backendSettings.gatewayPort.default}`;
    try {
      const wanted = parseHttpAddress(address, true);
      // The clients' address lasts longer than one start of the backend, so it never opens the machine to others.
      const host = isLoopback(wanted.host) ? wanted.host : '127.0.0.1';
      const at = `${hostInUrl(host)}:${wanted.port}`;
      if (this.#own?.address.port === wanted.port && [host, ...everywhere].includes(this.#own.address.host))
        return `http://${at}`;
      const wish = { address: at, remote: false, tokenFile: join(storage, httpTokenFile) };
      this.#clients = await serveHttp(wish, parts, this.#gateway);
      return this.#clients.url;
    } catch (error) {
      throw new CwmError('InvalidConfig', `The gateway cannot listen on ${address}.`, {
        hint:
          named !== null || known === null
            ? 'End the program that has the port, or set another one (cwm.gateway.port, CWM_GATEWAY_PORT) and run "cwm stop".'
            : `End the program that has the port. The backend tries again every ${tryAgainMs / 1000} s, since the clients' configurations name this port.`,
        cause: error,
      });
    }
  }

  /** @param close ends one listener. */
  async close(close: (listener: HttpListener) => Promise<void>): Promise<void> {
    clearTimeout(this.#again);
    await Promise.all([this.#own, this.#clients].filter((listener) => listener !== null).map(close));
  }
}

/** Hosts that stand for every address of the machine. */
const everywhere = ['0.0.0.0', '::'];

/** Where this machine's programs reach a listener; null: not on loopback. */
function onLoopback({ address: { host, port }, url }: HttpListener): string | null {
  if (isLoopback(host)) return url;
  return everywhere.includes(host) ? `http://127.0.0.1:${port}` : null;
}
