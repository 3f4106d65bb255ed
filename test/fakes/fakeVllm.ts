import { randomBytes } from 'node:crypto';
import { defaultHashSeed, type BlockHashProfile } from '../../src/base/kvBlockHash.ts';
import { FakeBlockEvents } from './fakeBlockEvents.ts';
import { FakeBlockPool } from './fakeBlockPool.ts';
import { FakeExampleConnector } from './fakeExampleConnector.ts';
import { FakeCounters } from './fakeCounters.ts';
import { noFaults, type FakeFaults } from './fakeFaults.ts';
import { FakeFsTier, type FakeTierOptions } from './fakeFsTier.ts';
import type { SeenRequest } from './fakeHttp.ts';
import { FakeHttpServer, type Schedule } from './fakeHttpServer.ts';
import { blockBytes } from './fakeModel.ts';
import { answerRequest, type FakeBackEnd } from './fakeRoutes.ts';
import type { FakeServed } from './fakeScheduler.ts';

export interface FakeVllmOptions {
  /** Decides the salt's form in hashes (0.31) and which counters there are (0.32). Default 0.32.0. */
  readonly version?: string;
  /** Default 16. */
  readonly blockTokens?: number;
  /** Blocks on the device. Default 4,096. */
  readonly capacityBlocks?: number;
  readonly hashAlgorithm?: BlockHashProfile['algorithm'];
  /** Its PYTHONHASHSEED. */
  readonly hashSeed?: string;
  /** The file tier; none by default: a restart then loses everything. */
  readonly tier?: FakeTierOptions;
  readonly faults?: Partial<FakeFaults>;
  /** Of answers that are slow. Default: the system's timers. */
  readonly schedule?: Schedule;
}

/**
 * A vLLM without a model: real HTTP, real block hashes, a real block pool with eviction, real files. What it answers
 * depends on the bytes of every block it reuses, so that damaged KV changes the answer, as it does for real.
 */
export class FakeVllm {
  readonly faults: FakeFaults;
  /** Its events about its KV blocks. */
  readonly events: FakeBlockEvents;
  /** Called with each request before it is answered: what it does to {@link faults} holds for that request. */
  onRequest: (request: SeenRequest) => void = () => undefined;
  readonly #options: FakeVllmOptions;
  readonly #http: FakeHttpServer;
  readonly #served: FakeServed[] = [];
  #startSeconds = 1_700_000_000;
  #tier: FakeFsTier | null;
  #backEnd: FakeBackEnd;

  private constructor(options: FakeVllmOptions) {
    this.#options = options;
    this.faults = { ...noFaults, ...options.faults };
    this.events = new FakeBlockEvents(this.faults);
    this.#tier = options.tier ? new FakeFsTier(options.tier, options.blockTokens ?? 16, blockBytes) : null;
    this.#backEnd = this.#boot(options.hashSeed ?? defaultHashSeed);
    this.#http = new FakeHttpServer({
      faults: this.faults,
      schedule: options.schedule,
      onRequest: (request) => this.onRequest(request),
      answer: (request) => answerRequest(this.#backEnd, request),
    });
  }

  static async start(options: FakeVllmOptions = {}): Promise<FakeVllm> {
    const fake = new FakeVllm(options);
    await fake.#http.listen();
    return fake;
  }

  get url(): string {
    return this.#http.url;
  }

  /** Every request, in order of arrival. */
  get requests(): SeenRequest[] {
    return this.#http.requests;
  }

  /** Connections so far. */
  get connectionCount(): number {
    return this.#http.connectionCount;
  }

  get openConnections(): number {
    return this.#http.openConnections;
  }

  /** Whether a client waits for an answer that is slow, or will never come. */
  get isHoldingBack(): boolean {
    return this.#http.isHoldingBack;
  }

  get isListening(): boolean {
    return this.#http.isListening;
  }

  /** What was truly reused for each request so far, whatever the server told of it. */
  get served(): readonly FakeServed[] {
    return this.#served;
  }

  get blocksOnDevice(): number {
    return this.#backEnd.pool.size;
  }

  /** Where the tier keeps a block. @throws Error without a tier. */
  blockPath(hash: string): string {
    if (!this.#tier) throw new Error('this fake has no tier');
    return this.#tier.pathOf(hash);
  }

  /** Requests whose path begins so. */
  requestsTo(path: string): SeenRequest[] {
    return this.#http.requestsTo(path);
  }

  /** Resolves once that many such requests have arrived in all. */
  untilRequests(path: string, count: number): Promise<void> {
    return this.#http.untilRequests(path, count);
  }

  /** As if memory were needed: the device forgets every block. */
  evictAll(): void {
    this.#backEnd.pool.clear();
  }

  /** The counters begin at 0 again, though the server goes on, and tells no other start of its process. */
  resetCounters(): void {
    this.#backEnd = { ...this.#backEnd, counters: new FakeCounters(this.#startSeconds) };
  }

  /** The counters rise as if others had computed so many tokens. */
  jumpCounters(promptTokens: number): void {
    this.#backEnd.counters.request(promptTokens, { device: 0, disk: 0 }, 0);
  }

  /** `kill -9`: connections break, memory is lost, and nobody listens. */
  async kill(): Promise<void> {
    this.#tier?.crash();
    await this.#http.kill();
  }

  /** The same command line again: the files of the tier are still there. @param change what is different from now on. */
  async restart(change: Partial<FakeFaults> = {}): Promise<void> {
    if (this.#http.isListening) await this.kill();
    Object.assign(this.faults, change);
    this.#startSeconds += 100;
    this.events.restart();
    const seed = this.faults.randomSeedAfterRestart ? randomBytes(8).toString('hex') : this.#backEnd.profile.seed;
    this.#backEnd = this.#boot(seed);
    await this.#http.listen();
  }

  /** Ends it; twice does nothing. */
  async stop(): Promise<void> {
    if (this.#http.isListening) await this.kill();
  }

  #boot(seed: string): FakeBackEnd {
    const version = this.#options.version ?? '0.32.0';
    const minor = Number(version.split('.')[1]);
    return {
      faults: this.faults,
      version,
      blockTokens: this.#options.blockTokens ?? 16,
      profile: {
        algorithm: this.#options.hashAlgorithm ?? 'sha256_cbor',
        seed,
        saltEncoding: minor >= 31 ? 'tagged' : 'bare',
      },
      pool: new FakeBlockPool(this.#options.capacityBlocks ?? 4096, (hashes) => this.events.removed(hashes)),
      events: this.events,
      tier: this.#tier,
      counters: new FakeCounters(this.#startSeconds),
      example: new FakeExampleConnector(this.#options.blockTokens ?? 16),
      served: this.#served,
      namesTiers: minor >= 32,
    };
  }
}
