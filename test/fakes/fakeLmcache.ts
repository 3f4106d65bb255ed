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

interface Part {
  tier: 'l1' | 'l2';
  /** Who told of it. */
  readonly instance: string;
}

const pieceTokens = 256;

/**
 * LMCache's coordinator with one instance, as 0.5.6 was seen to answer (`test/engines/live/lmcache.live.test.ts`): a directory of pieces
 * of 256 tokens, in as many parts as the model; pins that count, also of what is not stored; prefetches; deletes that leave pinned
 * pieces; an instance that has another name after each restart.
 */
export class FakeLmcache {
  readonly faults: { http: HttpFault | null } = { http: null };
  /** The instance answers a look-up so many times before it tells that the pieces are on disk. */
  storesAfterLookups = 0;
  /** Its directory is empty, as after a restart without a checkpoint: what is stored already is never told of again. */
  forgetsPlaces = false;
  /** Parts of the model, each of which keeps its own of each piece; they are on disk one look-up after another. */
  parts = 1;
  /** Another instance that the coordinator still takes to be running, and can't reach. */
  lostInstance: string | null = null;
  readonly #stored = new Map<string, Part>();
  readonly #pins = new Map<string, number>();
  readonly #http: FakeHttpServer;
  readonly #prefetches = new Map<string, number>();

  readonly #server: Pick<FakeVllm, 'requestsTo'>;
  #learned = 0;
  #starts = 1;

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
    return this.#pins.size;
  }

  get size(): number {
    return this.#stored.size;
  }

  get #instance(): string {
    return `worker-${this.#starts}`;
  }

  /** Method and path of each request, in order. */
  get requests(): string[] {
    return this.#http.requests.map(({ method, path }) => `${method} ${path}`);
  }

  bodiesTo(path: string): unknown[] {
    return this.#http.requestsTo(path).map(({ body }) => body);
  }

  /** The instance's memory and its name are lost, its disk is not, nor what the coordinator knows of that. */
  restart(): void {
    for (const [key, { tier }] of this.#stored) if (tier === 'l1') this.#stored.delete(key);
    this.#starts += 1;
  }

  /** Whole pieces of every prompt since the last time. */
  #learn(): void {
    const seen = this.#server.requestsTo('/v1/completions');
    for (const { body } of seen.slice(this.#learned)) {
      const request = promptBody.safeParse(body);
      if (!request.success) continue;
      const { model, prompt, cache_salt } = request.data;
      for (const { part } of keysOf({ model_name: model, world_size: this.parts, token_ids: prompt, cache_salt }))
        if (!this.#stored.has(part)) this.#stored.set(part, { tier: 'l1', instance: this.#instance });
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
      const id = poll[1] ?? '';
      const total = this.#prefetches.get(id);
      this.#prefetches.delete(id);
      if (total === undefined) return { status: 404, json: { detail: 'unknown prefetch' } };
      return ok({ request_id: id, status: 'completed', found_keys: total, total_keys: total });
    }
    if (method === 'GET' && path === '/instances') {
      const names = [this.#instance, ...(this.lostInstance === null ? [] : [this.lostInstance])];
      return ok({ instances: names.map((name) => ({ instance_id: name, ip: '127.0.0.1', http_port: 8080 })) });
    }
    const parsed = contextBody.safeParse(body);
    if (!parsed.success) return { status: 422, json: { detail: 'a field is missing' } };
    if (/[@/\\\0]/.test(parsed.data.cache_salt)) return { status: 400, json: { detail: 'cache_salt' } };
    const keys = keysOf(parsed.data);
    const chunks = keys.length / parsed.data.world_size;
    const { instance_id: addressee = this.#instance } = parsed.data;
    if (addressee === this.lostInstance) return { status: 502, json: { detail: `delete to '${addressee}' failed` } };
    if (addressee !== this.#instance)
      return { status: 404, json: { detail: `no MP server registered with instance_id='${addressee}'` } };
    switch (`${method} ${path}`) {
      case 'POST /directory/lookup':
        return ok({ chunks, results: this.#lookup(keys) });
      case 'POST /cache/pins':
        this.#addPins(keys, 1);
        return ok({ requested: chunks, affected: keys.length, status: 'pinned' });
      case 'DELETE /cache/pins':
        this.#addPins(keys, -1);
        return ok({ requested: chunks, affected: keys.length, status: 'unpinned' });
      case 'POST /cache/prefetches': {
        if (chunks === 0) return ok({ instance_id: addressee, request_id: '', chunks, status: 'noop' });
        const id = `p${this.#prefetches.size}`;
        this.#prefetches.set(id, keys.length);
        return ok({ instance_id: addressee, request_id: id, chunks, status: 'submitted' });
      }
      case 'POST /cache/delete': {
        const deletable = keys.filter(({ part }) => !this.#pins.has(part));
        const affected = deletable.filter(({ part }) => this.#stored.delete(part)).length;
        const skipped = keys.length - deletable.length;
        return ok({ instance_id: addressee, requested: chunks, affected, skipped, status: 'deleted' });
      }
      default:
        return { status: 404, json: { detail: 'Not Found' } };
    }
  }

  #lookup(keys: readonly Key[]) {
    const partsOnDisk = 1 - this.storesAfterLookups--;
    return keys.map(({ chunk, part, rank }) => {
      const stored = this.#stored.get(part);
      if (stored && rank < partsOnDisk) stored.tier = 'l2';
      const { instance, tier } = stored ?? {};
      const isKnown = stored && !this.forgetsPlaces;
      const placements = isKnown ? [{ instance_id: instance, incarnation: 1, tier, backend: 'fs', shared: false }] : [];
      return { key: { chunk_hash_hex: chunk, kv_rank: rank }, placements, token_ids: [], access_count: 0 };
    });
  }

  #addPins(keys: readonly Key[], by: 1 | -1): void {
    for (const { part } of keys) {
      const pins = (this.#pins.get(part) ?? 0) + by;
      if (pins > 0) this.#pins.set(part, pins);
      else this.#pins.delete(part);
    }
  }
}

interface Key {
  readonly chunk: string;
  readonly rank: number;
  /** Names this part of the piece. */
  readonly part: string;
}

const ok = (json: unknown): Answer => ({ status: 200, json });

/** One key for each part of each whole piece, which is hashed over everything before it. */
function keysOf({ model_name, world_size, token_ids, cache_salt }: Context): Key[] {
  return Array.from({ length: Math.floor(token_ids.length / pieceTokens) * world_size }, (_, at) => {
    const rank = at % world_size;
    const ids = token_ids.slice(0, (Math.floor(at / world_size) + 1) * pieceTokens);
    const chunk = sha256([ids]);
    return { chunk, rank, part: sha256([chunk, model_name, world_size, rank, cache_salt]) };
  });
}

const sha256 = (content: unknown): string => createHash('sha256').update(JSON.stringify(content)).digest('hex');
