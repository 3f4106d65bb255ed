import type { SeenRequest, Answer } from './fakeHttp.ts';
import type { HttpFault } from './fakeFaults.ts';
import { FakeHttpServer } from './fakeHttpServer.ts';
import { answerLlama } from './fakeLlamaRoutes.ts';
import { FakeSlots } from './fakeSlots.ts';

export interface FakeLlamaOptions {
  /** `--slot-save-path`; none by default. */
  readonly slotDir?: string;
  /** `--parallel`. Default 2. */
  readonly slots?: number;
  readonly faults?: Partial<FakeLlamaFaults>;
}

/** Everything a llama-server can do wrong, or do differently. Switchable at any time. */
export interface FakeLlamaFaults {
  /**
   * `does-nothing`: 200, and the slot stays empty. `gives-no-reuse`: as on hybrid and sliding-window models, everything is computed
   * again. `refuses`: 400, whatever the file.
   */
  restore: 'works' | 'does-nothing' | 'gives-no-reuse' | 'refuses';
  /** What a refused restore leaves in its slot until a restart (llama.cpp#27068). */
  refusedRestoreDamages: 'none' | 'answers' | 'numbers';
  /** `fails`: 500, as with a folder that is not there. `writes-nothing`: 200 with 0 bytes. */
  save: 'works' | 'fails' | 'writes-nothing';
  /** Its model sees pictures, so that it takes no action on slots; undefined for a build that does not say. */
  seesPictures: boolean | undefined;
  /** Slots that others work in at this moment. */
  busy: readonly number[];
  /** Somebody else's prompt comes into the slot before each save. */
  strangerBeforeSave: boolean;
  /** Somebody else's prompt of as many tokens comes into the slot before the next so many saves. */
  likeStrangersBeforeSave: number;
  /** Somebody else's prompt comes into the slot before each of so many requests for log-probabilities, beginning with the next. */
  strangersBeforeCanary: number;
  /** Each request empties the slots without one, as where all slots share a cache (`--kv-unified`). */
  clearsIdle: boolean;
  /** Started with `--no-slots`. */
  hidesSlots: boolean;
  /** Works in another slot than asked for, as for an id beyond the last. */
  worksElsewhere: boolean;
  /** How many of the last tokens are computed again besides the very last, as with a sliding window. */
  lostTokens: number;
  /** How many more are computed again at the first request after a restore. */
  lostAfterRestore: number;
  /** Whether its slot files have the ids in the form of newer builds. */
  packsIds: boolean;
  /** How many checkpoints of a context are behind the state in a slot file. */
  contextCheckpoints: number;
  /** `do-not-add-up`: everything was reused, and everything computed. */
  timings: 'true' | 'none' | 'do-not-add-up';
  givesLogprobs: boolean;
  /** Answers 400 to a request for log-probabilities. */
  refusesLogprobs: boolean;
  /** Null for what the model says: the ids of the next answers. 257 ends one. */
  answer: readonly number[] | null;
  /** Something that the chat template puts before every prompt: a date, say. */
  templateLine: string;
  weights: string;
  /** Its LoRA adapters; null for a build that does not know them. */
  adapters: readonly { readonly id: number; readonly path: string; readonly scale: number }[] | null;
  apiKey: string | null;
  model: string;
  ownedBy: string;
  contextTokens: number;
  http: HttpFault | null;
}

const noFaults: FakeLlamaFaults = {
  restore: 'works',
  refusedRestoreDamages: 'none',
  save: 'works',
  seesPictures: false,
  busy: [],
  strangerBeforeSave: false,
  likeStrangersBeforeSave: 0,
  strangersBeforeCanary: 0,
  clearsIdle: false,
  hidesSlots: false,
  worksElsewhere: false,
  lostTokens: 0,
  lostAfterRestore: 0,
  packsIds: true,
  contextCheckpoints: 0,
  timings: 'true',
  givesLogprobs: true,
  refusesLogprobs: false,
  answer: null,
  templateLine: '',
  weights: 'weights-1',
  adapters: [],
  apiKey: null,
  model: 'fake-llama',
  ownedBy: 'llamacpp',
  contextTokens: 4096,
  http: null,
};

/** What the routes work on. */
export interface FakeLlama {
  readonly faults: FakeLlamaFaults;
  readonly slotDir: string | undefined;
  readonly state: FakeSlots;
  /** What an assertion of llama.cpp does: the process is gone. */
  abort(): void;
}

/** A llama-server without a model: real HTTP, real slots with KV bytes that answers depend on, real slot files. */
export class FakeLlamaServer {
  readonly faults: FakeLlamaFaults;
  readonly #http: FakeHttpServer;
  readonly #options: FakeLlamaOptions;
  #slots: FakeSlots;
  #aborted = 0;
  #dying: Promise<void> = Promise.resolve();

  private constructor(options: FakeLlamaOptions) {
    this.#options = options;
    this.faults = { ...noFaults, ...options.faults };
    this.#slots = new FakeSlots(options.slots ?? 2);
    this.#http = new FakeHttpServer({ faults: this.faults, answer: (request) => this.#answer(request) });
  }

  static async start(options: FakeLlamaOptions = {}): Promise<FakeLlamaServer> {
    const fake = new FakeLlamaServer(options);
    await fake.#http.listen();
    return fake;
  }

  get url(): string {
    return this.#http.url;
  }

  /** How often a file has made it abort. */
  get aborts(): number {
    return this.#aborted;
  }

  get openConnections(): number {
    return this.#http.openConnections;
  }

  /** Ids that each slot holds. */
  get held(): number[][] {
    return this.#slots.slots.map(({ ids }) => [...ids]);
  }

  /** Requests whose path begins so. */
  requestsTo(path: string): SeenRequest[] {
    return this.#http.requestsTo(path);
  }

  untilRequests(path: string, count: number): Promise<void> {
    return this.#http.untilRequests(path, count);
  }

  /** Somebody else's request, in this slot. */
  strangerAsks(slot: number, ids: readonly number[]): void {
    const held = this.#slots.slots[slot];
    if (held) this.#slots.evaluate(held, ids, this.faults.weights, true, true);
  }

  async kill(): Promise<void> {
    await this.#dying;
    if (this.#http.isListening) await this.#http.kill();
  }

  /** Files are still there. @param change what is different from now on. @param slots default: as at its first start. */
  async restart(change: Partial<FakeLlamaFaults> = {}, slots = this.#options.slots ?? 2): Promise<void> {
    await this.kill();
    Object.assign(this.faults, change);
    this.#slots = new FakeSlots(slots);
    await this.#http.listen();
  }

  /** Ends it; twice does nothing. */
  stop(): Promise<void> {
    return this.kill();
  }

  #answer(request: SeenRequest): Answer | null {
    let alive = true;
    const answer = answerLlama(
      {
        faults: this.faults,
        slotDir: this.#options.slotDir,
        state: this.#slots,
        abort: () => {
          alive = false;
          this.#aborted++;
          this.#dying = this.#http.kill();
        },
      },
      request,
    );
    return alive ? answer : null;
  }
}
