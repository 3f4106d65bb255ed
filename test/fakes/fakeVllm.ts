import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { defaultHashSeed, type BlockHashProfile } from '../../src/base/kvBlockHash.ts';
import { FakeBlockPool } from './fakeBlockPool.ts';
import { FakeCounters } from './fakeCounters.ts';
import { noFaults, type FakeFaults, type HttpFault } from './fakeFaults.ts';
import { FakeFsTier, type FakeTierOptions } from './fakeFsTier.ts';
import { sendAnswer, type Answer, type SeenRequest } from './fakeHttp.ts';
import { blockBytes } from './fakeModel.ts';
import { answerRequest, refuse, type FakeBackEnd } from './fakeRoutes.ts';

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
}

/**
 * A vLLM without a model: real HTTP, real block hashes, a real block pool with eviction, real files. What it answers
 * depends on the bytes of every block it reuses, so that damaged KV changes the answer, as it does for real.
 */
export class FakeVllm {
  readonly faults: FakeFaults;
  /** Every request, in order of arrival. */
  readonly requests: SeenRequest[] = [];
  readonly #options: FakeVllmOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new WeakMap<Socket, number>();
  readonly #watchers = new Set<() => void>();
  #connectionCount = 0;
  #startSeconds = 1_700_000_000;
  #tier: FakeFsTier | null;
  #backEnd: FakeBackEnd;
  #port = 0;

  private constructor(options: FakeVllmOptions) {
    this.#options = options;
    this.faults = { ...noFaults, ...options.faults };
    this.#tier = options.tier ? new FakeFsTier(options.tier, options.blockTokens ?? 16, blockBytes) : null;
    this.#backEnd = this.#boot(options.hashSeed ?? defaultHashSeed);
    const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#handle(request, response);
    this.#server = createServer(onRequest);
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.set(socket, ++this.#connectionCount);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(options: FakeVllmOptions = {}): Promise<FakeVllm> {
    const fake = new FakeVllm(options);
    await fake.#listen();
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connections so far. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  get openConnections(): number {
    return this.#sockets.size;
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
    return this.requests.filter((request) => request.path.startsWith(path));
  }

  /** Resolves once that many such requests have arrived in all. */
  async untilRequests(path: string, count: number): Promise<void> {
    while (this.requestsTo(path).length < count) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** As if memory were needed: the device forgets every block. */
  evictAll(): void {
    this.#backEnd.pool.clear();
  }

  /** `kill -9`: connections break, memory is lost, and nobody listens. */
  async kill(): Promise<void> {
    this.#tier?.crash();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The same command line again: the files of the tier are still there. @param change what is different from now on. */
  async restart(change: Partial<FakeFaults> = {}): Promise<void> {
    if (this.#server.listening) await this.kill();
    Object.assign(this.faults, change);
    this.#startSeconds += 100;
    const seed = this.faults.randomSeedAfterRestart ? randomBytes(8).toString('hex') : this.#backEnd.profile.seed;
    this.#backEnd = this.#boot(seed);
    await this.#listen();
  }

  /** Ends it; twice does nothing. */
  async stop(): Promise<void> {
    if (this.#server.listening) await this.kill();
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
      pool: new FakeBlockPool(this.#options.capacityBlocks ?? 4096),
      tier: this.#tier,
      counters: new FakeCounters(this.#startSeconds),
      namesTiers: minor >= 32,
    };
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => resolve());
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // The client left.
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
      connection: this.#connections.get(request.socket) ?? 0,
    };
    const fault = this.#takeFault(seen.path);
    const spoilsEarly = fault !== null && (fault.kind === 'status' || fault.kind === 'drop') && fault.late !== true;
    const answer: Answer = spoilsEarly ? refuse(500, '') : answerRequest(this.#backEnd, seen);
    sendAnswer(response, answer, fault);
    // Told last, so that whoever waits for a request finds the exchange under way.
    this.requests.push(seen);
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  #takeFault(path: string): HttpFault | null {
    const fault = this.faults.http;
    if (!fault || !path.startsWith(fault.path ?? '/') || fault.times === 0) return null;
    if (fault.times !== undefined) fault.times--;
    return fault;
  }
}
