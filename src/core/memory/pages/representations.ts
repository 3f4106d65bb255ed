import type { CompressionLevel } from '../../../protocol/memory/page.ts';

/** Pages whose texts stay in memory (S1-40). */
const mostPages = 100;

/** A text of a page. */
export interface Representation {
  /** As it was asked for; `had` is the level that it came to. */
  readonly level: CompressionLevel;
  readonly had: CompressionLevel;
  readonly text: string;
  /** Of `text`, as the engine counts them. */
  readonly tokens: number;
}

/** L1: texts of pages that were asked for lately, so that the next fault neither shortens nor counts them again. */
export class Representations {
  /** The page that was used last comes last. */
  readonly #pages = new Map<string, Map<CompressionLevel, Representation>>();

  has(page: string): boolean {
    return this.#pages.has(page);
  }

  /** Its text is another one now. */
  forget(page: string): void {
    this.#pages.delete(page);
  }

  get(page: string, level: CompressionLevel): Representation | null {
    const levels = this.#pages.get(page);
    if (!levels) return null;
    this.#pages.delete(page);
    this.#pages.set(page, levels);
    return levels.get(level) ?? null;
  }

  /** @returns the page whose texts had to leave; null: none had to. */
  set(page: string, representation: Representation): string | null {
    const levels = this.#pages.get(page) ?? new Map<CompressionLevel, Representation>();
    this.#pages.delete(page);
    this.#pages.set(page, levels.set(representation.level, representation));
    const [oldest] = this.#pages.keys();
    if (this.#pages.size <= mostPages || oldest === undefined) return null;
    this.#pages.delete(oldest);
    return oldest;
  }
}
