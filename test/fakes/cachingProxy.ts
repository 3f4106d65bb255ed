import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** By what a response cache knows a request again: by all of its body, or by model and prompt alone. */
export type CacheKey = 'whole body' | 'prompt';

interface Cached {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A gateway in front of a model server that answers completions from its cache, whatever the client asks of caches. */
export class CachingProxy implements AsyncDisposable {
  /** Answers that did not come from the model server. */
  replays = 0;
  readonly #answers = new Map<string, Cached>();
  readonly #target: string;
  readonly #key: CacheKey;
  readonly #server = createServer((request, response) => {
    void this.#answer(request)
      .then(({ status, headers, body }) => response.writeHead(status, headers).end(body))
      .catch(() => response.destroy());
  });

  private constructor(target: string, key: CacheKey) {
    this.#target = target;
    this.#key = key;
  }

  static async start(target: string, key: CacheKey): Promise<CachingProxy> {
    const proxy = new CachingProxy(target, key);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<Cached> {
    const body = await textOf(request);
    const path = request.url ?? '/';
    const key = path === '/v1/completions' ? this.#keyOf(body) : null;
    const known = key === null ? undefined : this.#answers.get(key);
    if (known) {
      this.replays++;
      return known;
    }
    const answer = await fetch(this.#target + path, {
      method: request.method ?? 'GET',
      headers: forwarded(request.headers),
      ...(body !== '' && { body }),
    });
    const type = answer.headers.get('content-type');
    const fresh = { status: answer.status, headers: type ? { 'content-type': type } : {}, body: await answer.text() };
    if (key !== null && answer.ok) this.#answers.set(key, fresh as Cached);
    return fresh as Cached;
  }

  #keyOf(body: string): string {
    if (this.#key === 'whole body') return body;
    const { model, prompt, logprobs } = JSON.parse(body) as Record<string, unknown>;
    return JSON.stringify({ model, prompt, logprobs });
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}

const forwarded = ({
  authorization,
  accept,
  'content-type': type,
  'x-session-id': session,
}: IncomingHttpHeaders): Record<string, string> => ({
  ...(typeof session === 'string' && { 'x-session-id': session }),
  ...(authorization !== undefined && { authorization }),
  ...(accept !== undefined && { accept }),
  ...(type !== undefined && { 'content-type': type }),
});
