import type { Llama } from './llamaProcess.ts';

/**
 * Runs one llama.cpp process: a new one starts as soon as the old one is gone. A process that cannot be started
 * again is not tried in a loop, but with the next request.
 */
export class LlamaSupervisor {
  readonly #start: (onEnd: (reason: string) => void) => Promise<Llama>;
  readonly #log: (message: string) => void;
  #current: Promise<Llama> | null = null;
  #running: Llama | null = null;
  #restarts = 0;
  #closed = false;

  constructor(start: (onEnd: (reason: string) => void) => Promise<Llama>, log: (message: string) => void) {
    this.#start = start;
    this.#log = log;
  }

  /** Number of processes that were replaced. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Of the running process; null while there is none. */
  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** The running process, after a start where there is none. @throws what the start throws. */
  get(): Promise<Llama> {
    if (this.#closed) return Promise.reject(new Error('The engine is ending.'));
    this.#current ??= this.#launch();
    return this.#current;
  }

  /** Ends the process at once; one that is being started ends as soon as it has started. */
  close(): void {
    this.#closed = true;
    this.#running?.kill();
  }

  async #launch(): Promise<Llama> {
    try {
      const llama = await this.#start((reason) => this.#ended(reason));
      if (!llama.isAlive) throw new Error('The llama.cpp process ended right after its start.');
      this.#running = llama;
      if (this.#closed) llama.kill();
      return llama;
    } catch (error) {
      this.#current = null;
      throw error;
    }
  }

  #ended(reason: string): void {
    // Before the first start has succeeded, the caller of `get` receives the failure.
    if (this.#running === null || this.#closed) return;
    this.#log(`${reason} Another is started.`);
    this.#running = null;
    this.#restarts++;
    this.#current = null;
    this.get().catch((error: unknown) => this.#log(`llama.cpp could not be started again: ${String(error)}`));
  }
}
