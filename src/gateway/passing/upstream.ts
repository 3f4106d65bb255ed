import { Agent, request as send, type Dispatcher } from 'undici';
import { CwmError } from '../../protocol/errors.ts';

export interface UpstreamAddress {
  /** A trailing `/v1` is understood. */
  readonly url: string;
  readonly token?: string | undefined;
}

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  /** From `/v1` on. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | null;
}

/** The connections to model servers. A request is sent once: the client decides whether it asks again. */
export class Upstream {
  readonly #agent = new Agent({
    connections: 256,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 4_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: 10_000 },
  });

  /** @throws CwmError EngineUnavailable, Cancelled. */
  async send(
    { url }: UpstreamAddress,
    { method, path, headers, body }: UpstreamRequest,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const base = url.replace(/\/+$/, '').replace(/\/v1$/, '');
    try {
      return await send(base + path, { dispatcher: this.#agent, method, headers, body, signal });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw new CwmError('EngineUnavailable', 'The model server cannot be reached.', {
        hint: 'Start it, or choose another one with "cwm use".',
        context: { retry_after_seconds: 5 },
        cause: error,
      });
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
