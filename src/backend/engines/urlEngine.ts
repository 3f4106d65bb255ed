import { SerialQueue } from '../../base/serialQueue.ts';
import type { Engine, EngineDescription, GenerateRequest } from '../../core/ports/engine.ts';
import type { EngineAdapter } from '../../engines/engineAdapter.ts';
import type { Connect } from '../../engines/http/address.ts';
import { LinkFactory } from '../../engines/http/linkFactory.ts';
import { orAborted } from '../../engines/http/orAborted.ts';
import { defaultTimeouts, systemSleep, systemTimer } from '../../engines/http/timing.ts';
import { CwmError } from '../../protocol/errors.ts';

export interface UrlEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  readonly places: Readonly<Record<string, string>>;
  /** Tried in this order; the last one must accept any server. */
  readonly adapters: readonly EngineAdapter[];
}

interface Recognised {
  readonly adapter: EngineAdapter;
  readonly engine: Engine;
}

/**
 * The engine behind a URL, of any kind of server. The kind is found at the first use, and again with each description and after each
 * failure, because another server may have taken the port by then.
 */
export class UrlEngine implements Engine {
  readonly spec: string;
  readonly #options: UrlEngineOptions;
  readonly #links: LinkFactory;
  readonly #questions = new SerialQueue();
  #recognised: Recognised | null = null;
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
      sleep: systemSleep,
      random: Math.random,
      onConnectionFailure: () => undefined,
    });
  }

  async describe(signal: AbortSignal): Promise<EngineDescription> {
    this.#mayBeAnother = true;
    const description = await this.#ask(signal, (engine) => engine.describe(signal));
    const unused = Object.keys(this.#options.places).filter(
      (name) => !Object.hasOwn(this.#recognised?.adapter.places ?? {}, name),
    );
    const notices = unused.map((name) => `"${name}" in the engine's URL is for another kind of server than this one.`);
    return { ...description, notices: [...description.notices, ...notices] };
  }

  probe(signal: AbortSignal): ReturnType<Engine['probe']> {
    this.#mayBeAnother = true;
    return this.#ask(signal, (engine) => engine.probe(signal));
  }

  tokenize(...args: Parameters<Engine['tokenize']>): ReturnType<Engine['tokenize']> {
    return this.#ask(args[2], (engine) => engine.tokenize(...args));
  }

  detokenize(...args: Parameters<Engine['detokenize']>): ReturnType<Engine['detokenize']> {
    return this.#ask(args[1], (engine) => engine.detokenize(...args));
  }

  generate(
    request: GenerateRequest,
    onDelta: (text: string) => void,
    signal: AbortSignal,
  ): ReturnType<Engine['generate']> {
    return this.#ask(signal, (engine) => engine.generate(request, onDelta, signal));
  }

  persist(...args: Parameters<Engine['persist']>): ReturnType<Engine['persist']> {
    return this.#ask(args[1], (engine) => engine.persist(...args));
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
    if (this.#recognised?.adapter !== adapter) {
      if (this.#recognised) this.#former.push(this.#recognised.engine);
      this.#recognised = { adapter, engine: adapter.create(this.#options) };
    }
    this.#mayBeAnother = false;
    return this.#recognised;
  }
}
