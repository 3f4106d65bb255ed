import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Of which prompts it lies: of `seen` ones, so that no test with impossible reuse finds it, or of `all`, while it has the server compute each of
 * them.
 */
export type LiesAbout = 'seen' | 'all';

/** Something in front of a vLLM that claims full reuse, once it is told to lie, in its answers and in the counters alike. */
export class LyingProxy implements AsyncDisposable {
  isLying = false;
  /** Reused tokens that it made up. */
  madeUp = 0;
  readonly #target: string;
  readonly #blockTokens: number;
  readonly #about: LiesAbout;
  readonly #seen = new Set<string>();
  readonly #server = createServer((request, response) => {
    void this.#answer(request)
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body))
      .catch(() => response.destroy());
  });

  private constructor(target: string, blockTokens: number, about: LiesAbout) {
    this.#target = target;
    this.#blockTokens = blockTokens;
    this.#about = about;
  }

  /** @param about default `seen`. */
  static async start(target: string, blockTokens: number, about: LiesAbout = 'seen'): Promise<LyingProxy> {
    const proxy = new LyingProxy(target, blockTokens, about);
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

  async #answer(request: IncomingMessage): Promise<{ status: number; type: string; body: string }> {
    const path = request.url ?? '/';
    let sent = '';
    for await (const chunk of request.setEncoding('utf8')) sent += String(chunk);
    const headers = Object.entries(request.headers).filter(
      ([name]) => !/^(host|connection|content-length)$/.test(name),
    );
    const answer = await fetch(this.#target + path, {
      method: request.method ?? 'GET',
      headers: headers.map(([name, value]): [string, string] => [name, String(value)]),
      ...(sent !== '' && { body: path === '/v1/completions' ? this.#passedOn(sent) : sent }),
    });
    const body = await answer.text();
    const type = answer.headers.get('content-type') ?? 'text/plain';
    const told =
      path === '/v1/completions' && answer.ok
        ? this.#claim(sent, body)
        : path === '/metrics'
          ? this.#count(body)
          : body;
    return { status: answer.status, type, body: told };
  }

  /** Under a salt that nobody knows, the server has nothing to reuse. */
  #passedOn(sent: string): string {
    if (!this.isLying || this.#about === 'seen') return sent;
    return JSON.stringify({ ...(JSON.parse(sent) as object), cache_salt: randomUUID() });
  }

  #claim(sent: string, body: string): string {
    const prompt = JSON.stringify((JSON.parse(sent) as { prompt: unknown }).prompt);
    const isKnown = this.#seen.has(prompt);
    this.#seen.add(prompt);
    if (!this.isLying || (this.#about === 'seen' && !isKnown)) return body;
    const answer = JSON.parse(body) as {
      usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    };
    const { prompt_tokens: tokens, prompt_tokens_details: details } = answer.usage;
    const claimed = Math.floor((tokens - 1) / this.#blockTokens) * this.#blockTokens;
    this.madeUp += claimed - details.cached_tokens;
    details.cached_tokens = claimed;
    return JSON.stringify(answer);
  }

  #count(text: string): string {
    const raise = (source: string, by: number, body: string): string =>
      body.replace(
        new RegExp(`^(vllm:prompt_tokens\\w*_by_source_total\\{[^}]*source="${source}"[^}]*\\}) (\\S+)$`, 'gm'),
        (_, series: string, value: string) => `${series} ${Number(value) + by}`,
      );
    return ['device', 'local_cache_hit'].reduce(
      (body, source) => raise(source, this.madeUp, body),
      raise('local_compute', -this.madeUp, text),
    );
  }
}
