import { SerialQueue } from '../../base/serialQueue.ts';
import type { BlockLocation } from '../ports/engine.ts';

/** Keeps these blocks from being taken until the operation ends. What was being deleted is gone when it returns. */
export type Hold = (hashes: readonly string[]) => Promise<void>;

export const hashesOf = (located: BlockLocation): string[] =>
  located.reachable ? located.blocks.map(({ hash }) => hash) : [];

/**
 * What operations under way rely on. A freeze finds blocks, has the engine add what is missing, and only then is there a window
 * that names them: meanwhile nobody may take them.
 */
export class BlocksInUse {
  readonly #holders = new Map<string, number>();
  readonly #deletions = new SerialQueue();
  #collections = 0;
  #releasedMeanwhile: string[] = [];

  async during<T>(operation: (hold: Hold) => Promise<T>): Promise<T> {
    const held: string[] = [];
    const hold: Hold = async (hashes) => {
      for (const hash of hashes) {
        this.#holders.set(hash, (this.#holders.get(hash) ?? 0) + 1);
        held.push(hash);
      }
      await this.#deletions.run(async () => undefined);
    };
    try {
      return await operation(hold);
    } finally {
      // Who is looking for blocks to take may have read the list of windows before this operation's own was there.
      if (this.#collections > 0) this.#releasedMeanwhile.push(...held);
      else this.#release(held);
    }
  }

  isHeld(hash: string): boolean {
    return this.#holders.has(hash);
  }

  /** Around finding out which blocks are of no use and deleting them: what is let go of meanwhile stays held. */
  async collecting<T>(collection: () => Promise<T>): Promise<T> {
    this.#collections++;
    try {
      return await collection();
    } finally {
      if (--this.#collections === 0) this.#release(this.#releasedMeanwhile.splice(0));
    }
  }

  /** @param remove is given those of the blocks that nobody holds. */
  delete<Block extends { readonly hash: string }>(
    blocks: readonly Block[],
    remove: (free: readonly Block[]) => Promise<number>,
  ): Promise<number> {
    return this.#deletions.run(() => remove(blocks.filter(({ hash }) => !this.isHeld(hash))));
  }

  #release(hashes: readonly string[]): void {
    for (const hash of hashes) {
      const holders = (this.#holders.get(hash) ?? 0) - 1;
      if (holders > 0) this.#holders.set(hash, holders);
      else this.#holders.delete(hash);
    }
  }
}
