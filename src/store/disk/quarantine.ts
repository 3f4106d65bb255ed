import { join, relative } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { DurableWrites } from './durableWrites.ts';
import type { Layout } from './layout.ts';

/** A problem that the store found and could work around. */
export interface StoreProblem {
  readonly at: string;
  /** Relative to the storage directory, with `/` between its parts. */
  readonly path: string;
  readonly what: string;
  /** Where the damaged file is now, relative to the storage directory; null when it was not moved. */
  readonly movedTo: string | null;
}

/** Sets damaged files aside, where they do no harm and people can still examine them. */
export class Quarantine {
  readonly #writes: DurableWrites;
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #problems: StoreProblem[] = [];
  #onlyLooking: number;

  /** @param isReadOnly nothing is ever moved. */
  constructor(writes: DurableWrites, layout: Layout, clock: Clock, isReadOnly: boolean) {
    this.#onlyLooking = isReadOnly ? 1 : 0;
    this.#writes = writes;
    this.#layout = layout;
    this.#clock = clock;
  }

  /** Oldest first; at most the latest 1,000. */
  get problems(): readonly StoreProblem[] {
    return this.#problems;
  }

  /** A problem with nothing to move away. */
  note(path: string, what: string): void {
    this.#add(path, what, null);
  }

  /** While it runs, damaged files are reported and stay where they are. */
  async withoutMoving<T>(task: () => Promise<T>): Promise<T> {
    this.#onlyLooking++;
    try {
      return await task();
    } finally {
      this.#onlyLooking--;
    }
  }

  /** Never throws: a file that cannot be moved is reported all the same. */
  async setAside(path: string, what: string): Promise<void> {
    if (this.#onlyLooking > 0) {
      this.#add(path, what, null);
      return;
    }
    const from = this.#relative(path);
    const wanted = join(this.#layout.quarantine, `${stampOf(this.#clock.now())}-${from.replaceAll('/', '~')}`);
    try {
      const to = await this.#writes.moveAside(path, wanted);
      this.#add(path, what, this.#relative(to));
    } catch {
      this.#add(path, `${what} It could not be set aside.`, null);
    }
  }

  #add(path: string, what: string, movedTo: string | null): void {
    const problem = { at: this.#clock.now().toISOString(), path: this.#relative(path), what, movedTo };
    // Every reader meets a line that stays damaged.
    const isKnown = this.#problems.some((known) => known.path === problem.path && known.what === what);
    if (isKnown && movedTo === null) return;
    this.#problems.push(problem);
    if (this.#problems.length > 1000) this.#problems.shift();
  }

  #relative(path: string): string {
    return relative(this.#layout.root, path).replaceAll('\\', '/');
  }
}

/** A time as part of a file name, legal everywhere and in order. */
export const stampOf = (time: Date): string => time.toISOString().replace(/[-:.]/g, '');
