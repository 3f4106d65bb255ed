import { Agent, buildConnector } from 'undici';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { Link, maxConnections, type LinkOptions } from './link.ts';
import { orAborted } from './orAborted.ts';

/** Below the 5 s after which vLLM's web server closes an idle connection, so that no request meets a closing one. */
const keepAliveMs = 4_000;

const probeIdleConnectionsMs = 60_000;

/**
 * Asks for TCP keep-alive when the connection is there, where a refusal costs nothing. undici asks before, and then a system that has no
 * keep-alive (Wine) cannot connect at all.
 */
function connector(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ allowH2: false, timeout: timeoutMs, keepAlive: false });
  return (options, callback) =>
    connect(options, (...result) => {
      result[1]?.setKeepAlive(true, probeIdleConnectionsMs);
      callback(...result);
    });
}

/** Holds the connections to one model server: at most ten, reused while they live. */
export class LinkFactory {
  readonly #agent: Agent;
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#agent = new Agent({
      connections: maxConnections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: 60_000,
      connect: connector(options.timeouts.connectMs),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Runs one operation over a link; `signal` is aborted as well when the factory closes. */
  async use<T>(signal: AbortSignal, operation: (link: Link, signal: AbortSignal) => Promise<T>): Promise<T> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    try {
      either.throwIfAborted();
      const address = await orAborted(this.#options.connect(either), either);
      return await operation(new Link(this.#agent, this.#options, address), either);
    } catch (error) {
      throw either.aborted && !(error instanceof CwmError)
        ? new CwmError('Cancelled', 'The request to the model server was cancelled.', { cause: error })
        : toCwmError(error);
    }
  }

  /** Aborts what is in flight and closes every connection. Calling it twice does nothing. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#agent.destroy();
  }
}
