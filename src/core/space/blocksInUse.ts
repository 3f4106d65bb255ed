import type { BlockLocation } from '../ports/engine.ts';

/** Protects these blocks from deletion until the operation ends. Deletions of them that had begun are done when it returns. */
export type Hold = (hashes: readonly string[]) => Promise<void>;

export const hashesOf = (located: BlockLocation): string[] =>
  located.reachable ? located.blocks.map(({ hash }) => hash) : [];

interface Deletion {
  readonly hashes: ReadonlySet<string>;
  readonly done: Promise<void>;
}

/**
 * The blocks that running operations rely on. A freeze finds blocks and has the engine add missing ones, before a window names them.
 * Until then no other operation may delete them.
 */
export class BlocksInUse {
  readonly #holders = new Map<string, number>();
  readonly #deletions = new Set<Deletion>();
  #collections = 0;
  #releasedMeanwhile: string[] = [];

  async during<T>(operation: (hold: Hold) => Promise<T>): Promise<T> {
    const held: string[] = [];
    const hold: Hold = async (hashes) => {
      for (const hash of hashes) {
        this.#holders.set(hash, (this.#holders.get(hash) ?? 0) + 1);
        held.push(hash);
      }
      await this.#deletionsOf(new Set(hashes));
    };
    try {
      return await operation(hold);
    } finally {
      // A running collection may have listed the windows before this operation stored its own.
      if (this.#collections > 0) this.#releasedMeanwhile.push(...held);
      else this.#release(held);
    }
  }

  isHeld(hash: string): boolean {
    return this.#holders.has(hash);
  }

  /** Runs a search for unused blocks and their deletion. Blocks that are released during it stay held until its end. */
  async collecting<T>(collection: () => Promise<T>): Promise<T> {
    this.#collections++;
    try {
      return await collection();
    } finally {
      if (--this.#collections === 0) this.#release(this.#releasedMeanwhile.splice(0));
    }
  }

  /**
   * Only an operation that holds the same blocks waits for it: an engine may be slow.
   *
   * @param remove gets the blocks that no operation holds and no other deletion has begun with.
   */
  async delete<Block extends { readonly hash: string }>(
    blocks: readonly Block[],
    remove: (free: readonly Block[]) => Promise<number>,
  ): Promise<number> {
    // Nothing is awaited between this look and the deletion that others see.
    const leaving = [...this.#deletions];
    const free = blocks.filter(({ hash }) => !this.isHeld(hash) && !leaving.some(({ hashes }) => hashes.has(hash)));
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const deletion = { hashes: new Set(free.map(({ hash }) => hash)), done };
    this.#deletions.add(deletion);
    try {
      return await remove(free);
    } finally {
      this.#deletions.delete(deletion);
      resolve();
    }
  }

  async #deletionsOf(hashes: ReadonlySet<string>): Promise<void> {
    for (;;) {
      const running = this.#overlapping(hashes);
      if (running.length === 0) return;
      await Promise.all(running.map(({ done }) => done));
    }
  }

  #overlapping(hashes: ReadonlySet<string>): Deletion[] {
    return [...this.#deletions].filter((deletion) => [...hashes].some((hash) => deletion.hashes.has(hash)));
  }

  #release(hashes: readonly string[]): void {
    for (const hash of hashes) {
      const holders = (this.#holders.get(hash) ?? 0) - 1;
      if (holders > 0) this.#holders.set(hash, holders);
      else this.#holders.delete(hash);
    }
  }
}
