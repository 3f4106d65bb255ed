import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { blockHashChain, defaultHashSeed } from '../../src/base/kvBlockHash.ts';
import type { Core } from '../../src/core/core.ts';
import { saltOf } from '../../src/core/ports/lineages.ts';
import type { Engine } from '../../src/core/ports/engine.ts';
import { reuseFloor } from '../../src/core/evidence/reuse.ts';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { parseSessionId } from '../../src/protocol/ids.ts';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
import type { WindowManifest } from '../../src/protocol/schemas/window.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { ManualTimer, noPatience } from '../engines/vllm/rig.ts';
import { noFaults } from '../fakes/fakeFaults.ts';
import { CachingProxy } from '../fakes/cachingProxy.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import type { Lie } from './lies.ts';

export const operations = ['freeze', 'thaw', 'second thaw', 'thaw of a clone', 'thaw after a restart'] as const;
export type Operation = (typeof operations)[number];

export const sights = ['files in sight', 'files out of sight'] as const;
export type Sight = (typeof sights)[number];

/** The product under test: one for all cells. */
export interface Product {
  readonly cwm: Core;
  readonly store: FileStore;
  /** By what the product calls them. */
  readonly engines: Map<string, Engine>;
}

/** What the fake knows to be true of the request that a verdict is about. */
export interface Truth {
  readonly reusedTokens: number;
  readonly isFullReuse: boolean;
  /** Of what was reused. */
  readonly isRight: boolean;
}

/** One operation against one lie. */
export interface Cell {
  /** Null where it ended with an error. */
  readonly receipt: Receipt | null;
  readonly errorCode: string | null;
  /** Null where no request over the frozen ids got as far as the model. */
  readonly truth: Truth | null;
  /** What was there before and is not any more, or can't be read. */
  readonly lost: readonly string[];
  /** Once the lie has passed: whether the next answer was made of the right content. */
  readonly isNextAnswerRight: boolean;
}

const never = new AbortController().signal;
const blockTokens = 16;
const text =
  'An immutable snapshot of a conversation, by name: its words are kept for ever, what was computed of them is cache. ';

/** Runs an operation against a server of its own, with a lie, and looks at what came of it. */
export async function runCell(product: Product, lie: Lie, operation: Operation, sight: Sight): Promise<Cell> {
  const timer = new ManualTimer();
  const rootDir = await mkdtemp(join(tmpdir(), 'cwm-cell-'));
  const fake = await FakeVllm.start({
    blockTokens,
    capacityBlocks: lie.capacityBlocks,
    version: lie.version,
    faults: lie.faults,
    schedule: (delayMs, task) => void timer.schedule(delayMs, task),
    ...((lie.hasTier ?? true) && { tier: { rootDir } }),
  });
  const proxy = lie.cache && (await CachingProxy.start(fake.url, lie.cache));
  const id = randomUUID();
  const engine = new VllmEngine({
    spec: `http://${id}`,
    connect: async () => ({ url: proxy?.url ?? fake.url }),
    timer,
    sleep: async (_, signal) => signal.throwIfAborted(),
    random: () => 0,
    eventTimer: noPatience,
    events: lie.hasEvents ? () => Promise.resolve(fake.events) : undefined,
    ...(sight === 'files in sight' && (lie.hasTier ?? true) && { blockFiles: { rootDir } }),
  });
  product.engines.set(engine.spec, engine);
  try {
    return await new CellRun(product, lie, { fake, timer, id, spec: engine.spec }).run(operation);
  } finally {
    await engine.close();
    await proxy?.[Symbol.asyncDispose]();
    await fake.stop();
    await rm(rootDir, { recursive: true, force: true });
  }
}

interface Scene {
  readonly fake: FakeVllm;
  readonly timer: ManualTimer;
  readonly id: string;
  readonly spec: string;
}

class CellRun {
  readonly #product: Product;
  readonly #lie: Lie;
  readonly #scene: Scene;

  constructor(product: Product, lie: Lie, scene: Scene) {
    this.#product = product;
    this.#lie = lie;
    this.#scene = scene;
  }

  async run(operation: Operation): Promise<Cell> {
    const { cwm } = this.#product;
    const { fake, id } = this.#scene;
    const other = `${id}-other`;
    for (const session of [other, id]) {
      await cwm.createSession({ id: session, engine: this.#scene.spec });
      await cwm.send({ session, text: `${session === id ? '' : 'Another one: '}${text}`, maxTokens: 40 }, never);
    }
    const [files, filesOfOther] = [await this.#filesOf(id), await this.#filesOf(other)];
    if (operation !== 'freeze') await this.#freeze();
    if (operation === 'thaw of a clone') await cwm.clone({ window: id, target: `${id}-clone` }, never);
    const before = await this.#records();

    if (this.#lie.isDown || operation === 'thaw after a restart') await fake.kill();
    this.#lie.befalls?.({ fake, files, filesOfOther });
    if (!this.#lie.isDown && !fake.isListening) await fake.restart();
    fake.faults.http = this.#lie.http ? { ...this.#lie.http } : null;
    if (operation === 'second thaw') await this.#attempt(() => this.#thaw(operation));
    const servedBefore = fake.served.length;
    const outcome = await this.#attempt(() => (operation === 'freeze' ? this.#freeze() : this.#thaw(operation)));
    const truth = await this.#truthSince(servedBefore, operation);

    await this.#pass();
    const lost = await this.#lostSince(before, operation, outcome.receipt);
    return { ...outcome, truth, lost, isNextAnswerRight: await this.#isNextAnswerRight(operation, outcome.receipt) };
  }

  #freeze(): Promise<Receipt> {
    const { id } = this.#scene;
    return this.#product.cwm.freeze({ session: id, window: id, checkpoint: true }, never);
  }

  #thaw(operation: Operation): Promise<Receipt> {
    const { id } = this.#scene;
    return this.#product.cwm.thaw({ window: operation === 'thaw of a clone' ? `${id}-clone` : id }, never);
  }

  /** In virtual time: while the server holds back what the client waits for, the next time-out comes. */
  async #attempt(operation: () => Promise<Receipt>): Promise<Pick<Cell, 'receipt' | 'errorCode'>> {
    const { fake, timer } = this.#scene;
    const result = operation().then(
      (receipt) => ({ receipt, errorCode: null }),
      (error: unknown) => ({ receipt: null, errorCode: error instanceof CwmError ? error.code : String(error) }),
    );
    for (;;) {
      const isHeldBack = fake.isHoldingBack;
      // Whatever else is on its way arrives meanwhile, as it does in the minutes that this stands for.
      const settled = await Promise.race([result, setTimeout(isHeldBack ? 20 : 1, null)]);
      if (settled) return settled;
      if (isHeldBack && fake.isHoldingBack) timer.advanceToNext();
    }
  }

  /** A thaw is about its first request over the frozen ids, a freeze about its last. */
  async #truthSince(servedBefore: number, operation: Operation): Promise<Truth | null> {
    const ids = (await this.#idsOf(this.#scene.id)).join();
    const about = this.#scene.fake.served.slice(servedBefore).filter(({ promptIds }) => promptIds.join() === ids);
    const served = operation === 'freeze' ? about.at(-1) : about[0];
    if (!served) return null;
    const { reusedTokens, promptIds } = served;
    const isFullReuse = reusedTokens >= reuseFloor(promptIds.length, blockTokens);
    return { reusedTokens, isFullReuse, isRight: served.isReusedRight() };
  }

  /** What kept the server from answering is over; what was done to its KV is not. */
  async #pass(): Promise<void> {
    const { fake } = this.#scene;
    const { http, apiKey, model, maxModelLen, hasVersion, metrics, usageDetails, keepsLastTokens } = {
      ...noFaults,
      ...this.#lie.faults,
    };
    Object.assign(fake.faults, {
      http,
      apiKey,
      model,
      maxModelLen,
      hasVersion,
      metrics,
      usageDetails,
      keepsLastTokens,
    });
    if (!fake.isListening) await fake.restart();
  }

  async #isNextAnswerRight(operation: Operation, receipt: Receipt | null): Promise<boolean> {
    const { cwm } = this.#product;
    const settled = receipt ?? (await (operation === 'freeze' ? this.#freeze() : this.#thaw(operation)));
    await cwm.send({ session: settled.session, text: 'And what follows from that?', maxTokens: 8 }, never);
    return this.#scene.fake.served.at(-1)?.isReusedRight() ?? false;
  }

  async #idsOf(id: string): Promise<number[]> {
    const { tokens } = await this.#product.cwm.getSession({ session: id });
    return tokens ? [...(await this.#product.store.sessions.loadTokens(parseSessionId(id), tokens.sha256))] : [];
  }

  /** Of the session's prompt, whose blocks are kept as soon as it was asked. */
  async #filesOf(id: string): Promise<string[]> {
    if (this.#lie.hasTier === false) return [];
    const { tokens, lineage } = await this.#product.cwm.getSession({ session: id });
    const salt = this.#lie.faults?.saltIgnored ? null : saltOf(await this.#product.store.lineages.get(lineage));
    const profile = { algorithm: 'sha256_cbor', seed: defaultHashSeed, saltEncoding: 'tagged' } as const;
    const promptIds = (await this.#idsOf(id)).slice(0, tokens?.promptCount);
    return blockHashChain(profile, promptIds, blockTokens, salt).map((hash) => this.#scene.fake.blockPath(hash));
  }

  /** Everything of the conversation that can't be computed again. */
  async #records(): Promise<Records> {
    const { cwm, store } = this.#product;
    const { id } = this.#scene;
    const messages = (await cwm.listMessages({ session: id })).items;
    const ids = await this.#idsOf(id);
    const { items } = await cwm.listWindows({ session: id });
    const windows = await Promise.all(
      items.map(async ({ name }) => {
        const { manifest } = await cwm.getWindow({ window: name });
        return [manifest, await store.windows.loadTokens(name)] as const;
      }),
    );
    return { messages, ids, windows };
  }

  async #lostSince(before: Records, operation: Operation, receipt: Receipt | null): Promise<string[]> {
    const lost: string[] = [];
    const same = (what: string, one: unknown, two: unknown): void => {
      if (JSON.stringify(one) !== JSON.stringify(two)) lost.push(what);
    };
    const after = await this.#records();
    same('messages', before.messages, after.messages);
    same('token ids', before.ids, after.ids);
    if (operation !== 'freeze') same('windows', before.windows, after.windows);
    else if (after.windows.length !== (receipt ? 1 : 0)) lost.push('a window, or the lack of one');
    if (receipt && operation !== 'freeze') {
      const opened = await this.#product.cwm.listMessages({ session: receipt.session });
      same('words of the opened session', before.messages.map(wordsOf), opened.items.map(wordsOf));
    }
    return lost;
  }
}

interface Records {
  readonly messages: readonly Message[];
  readonly ids: readonly number[];
  readonly windows: readonly (readonly [WindowManifest, readonly number[]])[];
}

const wordsOf = ({ content }: { readonly content: unknown }): unknown => content;
