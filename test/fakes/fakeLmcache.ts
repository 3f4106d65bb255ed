import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { HttpFault } from './fakeFaults.ts';
import type { Answer, SeenRequest } from './fakeHttp.ts';
import { FakeHttpServer } from './fakeHttpServer.ts';
import type { FakeVllm } from './fakeVllm.ts';

const contextBody = z.object({
  model_name: z.string(),
  world_size: z.number(),
  token_ids: z.array(z.number()),
  cache_salt: z.string(),
  instance_id: z.optional(z.string()),
});
const promptBody = z.object({ model: z.string(), prompt: z.array(z.number()), cache_salt: z.string() });
type Context = z.infer<typeof contextBody>;

interface Piece {
  tier: 'l1' | 'l2';
  pins: number;
}

const pieceTokens = 256;
const instance = 'worker-1';

/**
 * LMCache's coordinator as its documentation describes it: a directory of pieces of 256 tokens, pins that count, prefetches, deletes
 * that leave pinned pieces. The same requests were answered in the same way by a real one (0.5.6), tried by hand.
 */
export class FakeLmcache {
  readonly faults: { http: HttpFault | null } = { http: null };
  /** The instance answers a look-up so many times before it tells that the pieces are on disk. */
  storesAfterLookups = 0;
  readonly #pieces = new Map<string, Piece>();
  readonly #http: FakeHttpServer;
  readonly #prefetches = new Map<string, string[]>();

  readonly #server: Pick<FakeVllm, 'requestsTo'>;
  #learned = 0;

  private constructor(server: Pick<FakeVllm, 'requestsTo'>) {
    this.#server = server;
    this.#http = new FakeHttpServer({ faults: this.faults, answer: (request) => this.#answer(request) });
  }

  /** Stores what this vLLM computes, as its connector would. */
  static async start(server: Pick<FakeVllm, 'requestsTo'>): Promise<FakeLmcache> {
    const fake = new FakeLmcache(server);
    await fake.#http.listen();
    return fake;
  }

  get url(): string {
    return this.#http.url;
  }

  get pinned(): number {
    return [...this.#pieces.values()].filter(({ pins }) => pins > 0).length;
  }

  get size(): number {
    return this.#pieces.size;
  }

  /** Method and path of each request, in order. */
  get requests(): string[] {
    return this.#http.requests.map(({ method, path }) => `${method} ${path}`);
  }

  bodiesTo(path: string): unknown[] {
    return this.#http.requestsTo(path).map(({ body }) => body);
  }

  /** Memory is lost, the disk is not. */
  restart(): void {
    for (const [key, { tier }] of this.#pieces) if (tier === 'l1') this.#pieces.delete(key);
  }

  /** Whole pieces of every prompt since the last time. */
  #learn(): void {
    const seen = this.#server.requestsTo('/v1/completions');
    for (const { body } of seen.slice(this.#learned)) {
      const request = promptBody.safeParse(body);
      if (!request.success) continue;
      const { model, prompt, cache_salt } = request.data;
      for (const key of keysOf({ model_name: model, world_size: 1, token_ids: prompt, cache_salt }))
        if (!this.#pieces.has(key)) this.#pieces.set(key, { tier: 'l1', pins: 0 });
    }
    this.#learned = seen.length;
  }

  kill(): Promise<void> {
    return this.#http.kill();
  }

  async stop(): Promise<void> {
    if (this.#http.isListening) await this.#http.kill();
  }

  #answer({ method, path, body }: SeenRequest): Answer {
    this.#learn();
    const poll = /^\/cache\/prefetches\/[^/]+\/(.+)$/.exec(path);
    if (method === 'GET' && poll) {
      const found = this.#prefetches.get(poll[1] ?? '')?.length ?? 0;
      return ok({ status: 'completed', found_keys: found, total_keys: found });
    }
    const parsed = contextBody.safeParse(body);
    if (!parsed.success) return { status: 422, json: { detail: 'a field is missing' } };
    if (/[@/\\\0]/.test(parsed.data.cache_salt)) return { status: 400, json: { detail: 'cache_salt' } };
    const keys = keysOf(parsed.data);
    switch (`${method} ${path}`) {
      case 'POST /directory/lookup':
        return this.#lookup(keys);
      case 'POST /cache/pins':
        return ok({ requested: keys.length, affected: this.#addPins(keys, 1), status: 'pinned' });
      case 'DELETE /cache/pins':
        return ok({ requested: keys.length, affected: this.#addPins(keys, -1), status: 'unpinned' });
      case 'POST /cache/prefetches': {
        const id = `p${this.#prefetches.size}`;
        this.#prefetches.set(id, keys);
        return { ...ok({ request_id: id, chunks: keys.length, status: 'submitted' }), status: 202 };
      }
      case 'POST /cache/delete': {
        const deletable = keys.filter((key) => this.#pieces.get(key)?.pins === 0);
        for (const key of deletable) this.#pieces.delete(key);
        const skipped = keys.length - deletable.length;
        return ok({ requested: keys.length, affected: deletable.length, skipped, status: 'deleted' });
      }
      default:
        return { status: 404, json: { detail: 'Not Found' } };
    }
  }

  #lookup(keys: readonly string[]): Answer {
    const isStored = this.storesAfterLookups-- <= 0;
    const results = keys.map((key) => {
      const piece = this.#pieces.get(key);
      if (piece && isStored) piece.tier = 'l2';
      const placements = piece ? [{ instance_id: instance, incarnation: 1, tier: piece.tier, backend: 'fs' }] : [];
      return { key, placements };
    });
    return ok({ chunks: keys.length, results });
  }

  #addPins(keys: readonly string[], by: number): number {
    const present = keys.flatMap((key) => this.#pieces.get(key) ?? []);
    for (const piece of present) piece.pins = Math.max(0, piece.pins + by);
    return present.length;
  }
}

const ok = (json: unknown): Answer => ({ status: 200, json });

/** One key for each whole piece, over everything before it. */
function keysOf({ model_name, world_size, token_ids, cache_salt }: Context): string[] {
  return Array.from({ length: Math.floor(token_ids.length / pieceTokens) }, (_, at) =>
    createHash('sha256')
      .update(JSON.stringify([model_name, world_size, cache_salt, token_ids.slice(0, (at + 1) * pieceTokens)]))
      .digest('hex'),
  );
}
