import { isDeepStrictEqual } from 'node:util';
import { randomSalt } from '../../base/hash.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  Engine,
  EngineDescription,
  LeftKv,
  PackedKv,
  Passage,
  SlotState,
  TakenKv,
} from '../../core/ports/engine.ts';
import type { EngineAdapter } from '../../engines/engineAdapter.ts';
import type { Connect } from '../../engines/http/address.ts';
import { LinkFactory } from '../../engines/http/linkFactory.ts';
import { orAborted } from '../../engines/http/orAborted.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep } from '../../engines/http/timing.ts';
import { noFolder } from '../../protocol/engineSpec.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { nothingFound, type FoundPlaces } from './findPlaces.ts';

export interface UrlEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  readonly places: Readonly<Record<string, string>>;
  /** Tried in this order; the last one must accept any server. */
  readonly adapters: readonly EngineAdapter[];
  /** Looks for places of a server that the spec does not name. Default: nothing is looked for. */
  readonly find?: (adapter: EngineAdapter) => Promise<FoundPlaces>;
  /** How it waits before it asks again; default: by the clock. */
  readonly sleep?: Sleep;
}

interface Recognised {
  readonly adapter: EngineAdapter;
  readonly engine: Engine;
  readonly found: FoundPlaces;
}

/**
 * The engine behind a URL, of any kind of server. The kind is found at the first use, and again with each description (unless the
 * server describes itself as before) and after each failure, because another server may have taken the port by then.
 */
export class UrlEngine implements Engine {
  readonly spec: string;
  readonly #options: UrlEngineOptions;
  readonly #links: LinkFactory;
  readonly #questions = new SerialQueue();
  #recognised: Recognised | null = null;
  /** What the recognised engine said of its server last. */
  #described: EngineDescription | null = null;
  /** Engines of kinds that the URL led to before; their calls in flight run to their end. */
  readonly #former: Engine[] = [];
  #mayBeAnother = false;

  constructor(options: UrlEngineOptions) {
    this.spec = options.spec;
    this.#options = options;
    this.#links = new LinkFactory({
      connect: options.connect,
      apiKey: undefined,
      timeouts: defaultTimeouts,
      timer: systemTimer,
      sleep: options.sleep ?? systemSleep,
      random: Math.random,
      onConnectionFailure: () => undefined,
    });
  }

  /** Places that the spec does not name and the server's command line does, where a file of the server was seen to appear. */
  async seenPlaces(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const engine = await this.#engine(signal);
    const { adapter, found } = this.#recognised ?? {};
    if (!adapter?.triesFolders || !found || Object.keys(found.places).length === 0) return {};
    const { reachable } = await engine.locate({ ids: [], salt: randomSalt(), handle: null }, signal);
    return reachable ? found.places : {};
  }

  async describe(signal: AbortSignal): Promise<EngineDescription> {
    const description = (await this.#describeUnchanged(signal)) ?? (await this.#describeAndRecognise(signal));
    const unused = Object.keys(this.#options.places).filter(
      (name) => !Object.hasOwn(this.#recognised?.adapter.places ?? {}, name),
    );
    const notices = unused.map((name) => `"${name}" in the engine's URL is for another kind of server than this one.`);
    const { places, foundIn, kvOptions = '' } = this.#recognised?.found ?? nothingFound;
    const finds = Object.entries(places).map(([name, folder]) => foundNotice(name, folder, foundIn[name] ?? ''));
    return { ...description, notices: [...description.notices, ...notices, ...finds, ...optionNotices(kvOptions)] };
  }

  probe(signal: AbortSignal): ReturnType<Engine['probe']> {
    this.#mayBeAnother = true;
    return this.#ask(signal, (engine) => engine.probe(signal));
  }

  tokenize(...args: Parameters<Engine['tokenize']>): ReturnType<Engine['tokenize']> {
    return this.#ask(args[2], (engine) => engine.tokenize(...args));
  }

  nextChatIds(...args: Parameters<NonNullable<Engine['nextChatIds']>>): Promise<readonly number[] | null> {
    return this.#ask(args[1], async (engine) => (await engine.nextChatIds?.(...args)) ?? null);
  }

  detokenize(...args: Parameters<Engine['detokenize']>): ReturnType<Engine['detokenize']> {
    return this.#ask(args[1], (engine) => engine.detokenize(...args));
  }

  generate(...args: Parameters<Engine['generate']>): ReturnType<Engine['generate']> {
    return this.#ask(args[2], (engine) => engine.generate(...args));
  }

  persist(...args: Parameters<Engine['persist']>): ReturnType<Engine['persist']> {
    return this.#ask(args[1], (engine) => engine.persist(...args));
  }

  expect(hashes: readonly string[]): void {
    this.#recognised?.engine.expect?.(hashes);
  }

  letPass(...args: Parameters<NonNullable<Engine['letPass']>>): Promise<Passage | null> {
    return this.#ask(args[1], async (engine) => (await engine.letPass?.(...args)) ?? null);
  }

  slots(...args: Parameters<NonNullable<Engine['slots']>>): Promise<readonly SlotState[] | null> {
    return this.#ask(args[0], async (engine) => (await engine.slots?.(...args)) ?? null);
  }

  leave(...args: Parameters<NonNullable<Engine['leave']>>): Promise<LeftKv | null> {
    return this.#ask(args[2], async (engine) => (await engine.leave?.(...args)) ?? null);
  }

  isUnused(signal: AbortSignal): Promise<boolean> {
    return this.#ask(signal, async (engine) => (await engine.isUnused?.(signal)) ?? false);
  }

  pack(...args: Parameters<NonNullable<Engine['pack']>>): Promise<PackedKv | null> {
    return this.#ask(args[2], async (engine) => (await engine.pack?.(...args)) ?? null);
  }

  unpack(...args: Parameters<NonNullable<Engine['unpack']>>): Promise<TakenKv | null> {
    return this.#ask(args[2], async (engine) => (await engine.unpack?.(...args)) ?? null);
  }

  restore(...args: Parameters<Engine['restore']>): ReturnType<Engine['restore']> {
    return this.#ask(args[1], (engine) => engine.restore(...args));
  }

  measure(...args: Parameters<Engine['measure']>): ReturnType<Engine['measure']> {
    return this.#ask(args[1], (engine) => engine.measure(...args));
  }

  locate(...args: Parameters<Engine['locate']>): ReturnType<Engine['locate']> {
    return this.#onDisk(args[1], (engine) => engine.locate(...args));
  }

  checksum(...args: Parameters<Engine['checksum']>): ReturnType<Engine['checksum']> {
    return this.#onDisk(args[1], (engine) => engine.checksum(...args));
  }

  forget(...args: Parameters<Engine['forget']>): ReturnType<Engine['forget']> {
    return this.#onDisk(args[1], (engine) => engine.forget(...args));
  }

  async close(): Promise<void> {
    const engines = [...this.#former, ...(this.#recognised ? [this.#recognised.engine] : [])];
    await Promise.all([this.#links.close(), ...engines.map((engine) => engine.close())]);
  }

  /** Asks only the engine at hand; null where another kind of server may be there now. */
  async #describeUnchanged(signal: AbortSignal): Promise<EngineDescription | null> {
    const recognised = this.#recognised;
    if (!recognised?.adapter.describesOnlyItself || this.#mayBeAnother) return null;
    try {
      const description = await this.#ask(signal, () => recognised.engine.describe(signal));
      const isSame = isDeepStrictEqual(description, this.#described) && this.#recognised === recognised;
      return isSame && isDeepStrictEqual(await this.#find(recognised.adapter), recognised.found) ? description : null;
    } catch (error) {
      if (isCwmError(error, 'NotAnEngine', 'EngineRejected', 'EngineDenied', 'ModelMismatch')) return null;
      throw error;
    }
  }

  async #describeAndRecognise(signal: AbortSignal): Promise<EngineDescription> {
    this.#mayBeAnother = true;
    return (this.#described = await this.#ask(signal, (engine) => engine.describe(signal)));
  }

  async #ask<T>(signal: AbortSignal, call: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = await this.#engine(signal);
    try {
      return await call(engine);
    } catch (error) {
      if (error instanceof CwmError && error.code.startsWith('CWM-5')) this.#mayBeAnother = true;
      throw error;
    }
  }

  /** Files need no server: where its kind is known, it is not asked again. */
  async #onDisk<T>(signal: AbortSignal, call: (engine: Engine) => Promise<T>): Promise<T> {
    return call(this.#recognised?.engine ?? (await this.#engine(signal)));
  }

  async #engine(signal: AbortSignal): Promise<Engine> {
    if (this.#recognised && !this.#mayBeAnother) return this.#recognised.engine;
    const recognised = this.#questions.run(() => this.#recognise(signal), signal);
    return (await orAborted(recognised, signal)).engine;
  }

  async #recognise(signal: AbortSignal): Promise<Recognised> {
    // A call before this one in the queue may have asked already.
    if (this.#recognised && !this.#mayBeAnother) return this.#recognised;
    const adapter = await this.#links.use(signal, async (link, signal) => {
      for (const candidate of this.#options.adapters.slice(0, -1)) {
        if (await candidate.recognises(link, signal)) return candidate;
      }
      return this.#options.adapters.at(-1) as EngineAdapter;
    });
    const found = await this.#find(adapter);
    if (this.#recognised?.adapter !== adapter || !isDeepStrictEqual(usable(this.#recognised.found), usable(found))) {
      if (this.#recognised) this.#former.push(this.#recognised.engine);
      const given = Object.entries(this.#options.places).filter(([, place]) => place !== noFolder);
      const places = { ...found.places, ...Object.fromEntries(given) };
      this.#recognised = {
        adapter,
        engine: adapter.create({ ...this.#options, ...found, places }),
        found,
      };
    }
    this.#mayBeAnother = false;
    return this.#recognised;
  }

  /** The places that the spec leaves open: an explicit one wins, also one that says `off`. */
  async #find(adapter: EngineAdapter): Promise<FoundPlaces> {
    const findable = Object.keys(adapter.places).filter((name) => /folder|socket/.test(adapter.places[name] ?? ''));
    if (!adapter.kvOptionsIn && findable.every((name) => Object.hasOwn(this.#options.places, name)))
      return nothingFound;
    const found = (await this.#options.find?.(adapter)) ?? nothingFound;
    const isOpen = ([name]: readonly [string, string]): boolean => !Object.hasOwn(this.#options.places, name);
    return {
      places: Object.fromEntries(Object.entries(found.places).filter(isOpen)),
      foundIn: Object.fromEntries(Object.entries(found.foundIn).filter(isOpen)),
      offered: Object.fromEntries(Object.entries(found.offered).filter(isOpen)),
      ...(found.kvOptions !== undefined && { kvOptions: found.kvOptions }),
    };
  }
}

/** What an engine is made of. */
const usable = ({ places, offered, kvOptions }: FoundPlaces): object => ({ places, offered, kvOptions });

const optionNotices = (kvOptions: string): string[] =>
  kvOptions === ''
    ? []
    : [`KV files of this server belong to its start options ${kvOptions}; under others they are not used.`];

const foundNotice = (name: string, folder: string, where: string): string =>
  `The folder of its KV files is ${folder}, found in ${where}. #${name}=${noFolder} behind the engine's URL turns this off.`;
