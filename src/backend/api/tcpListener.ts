import { join } from 'node:path';
import { SerialQueue } from '../../base/serialQueue.ts';
import { httpTokenFile } from '../../protocol/backendRecord.ts';
import { CwmError } from '../../protocol/errors.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import type { AppParts } from './app.ts';
import type { HttpListener } from './httpListener.ts';
import type { GatewayHandler } from './gatewayAdmission.ts';
import { serveHttp, type HttpWish } from './serveHttp.ts';

type Parts = Omit<AppParts, 'admit' | 'identity'>;

interface TcpWish {
  readonly storage: string;
  /** Null: only where the gateway's clients are. */
  readonly http?: HttpWish | null;
  readonly gatewayPort?: number;
}

/** Where the backend answers on TCP: at an address that the user names, else where the gateway's clients look for it. */
export class TcpListener {
  readonly #wish: TcpWish;
  readonly #gateway: GatewayHandler | undefined;
  readonly #queue = new SerialQueue();
  readonly #parts = Promise.withResolvers<Parts>();
  #listener: HttpListener | null = null;

  constructor(wish: TcpWish, gateway: GatewayHandler | undefined) {
    this.#wish = wish;
    this.#gateway = gateway;
  }

  /** `http://HOST:PORT`; null: it does not listen. */
  get url(): string | null {
    return this.#listener?.url ?? null;
  }

  /**
   * An address that the user names must be had; that of the gateway's clients may be taken, and the backend serves its socket all the same.
   *
   * @throws CwmError InvalidConfig for the user's address.
   */
  async start(parts: Parts, onTaken: (error: unknown) => void): Promise<void> {
    this.#parts.resolve(parts);
    const { http } = this.#wish;
    if (http) await this.#listen(http);
    else if ((this.#gateway?.clientsAddress ?? null) !== null) await this.open().catch(onTaken);
  }

  /** Listens for the gateway's clients, unless it listens already; waits for {@link start}. @returns its URL. @throws CwmError InvalidConfig. */
  open(): Promise<string> {
    return this.#queue.run(async () => {
      if (this.#listener) return this.#listener.url;
      const { storage, gatewayPort = backendSettings.gatewayPort.default } = this.#wish;
      const address = this.#gateway?.clientsAddress ?? `127.0.0.1:${gatewayPort}`;
      try {
        return await this.#listen({ address, remote: false, tokenFile: join(storage, httpTokenFile) });
      } catch (error) {
        throw new CwmError('InvalidConfig', `The gateway cannot listen on ${address}.`, {
          hint: 'End the program that has the port, or set another one (cwm.gateway.port, CWM_GATEWAY_PORT) and run "cwm stop".',
          cause: error,
        });
      }
    });
  }

  async #listen(wish: HttpWish): Promise<string> {
    this.#listener = await serveHttp(wish, await this.#parts.promise, this.#gateway);
    this.#gateway?.listensAt(this.#listener.url);
    return this.#listener.url;
  }

  /** @param close ends one listener. */
  async close(close: (listener: HttpListener) => Promise<void>): Promise<void> {
    if (this.#listener) await close(this.#listener);
  }
}
