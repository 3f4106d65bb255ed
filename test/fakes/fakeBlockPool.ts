interface PooledBlock {
  readonly bytes: Uint8Array;
  lastUsed: number;
  depth: number;
}

/** vLLM's prefix cache on the device: least recently used blocks go first, and of one request the last ones. */
export class FakeBlockPool {
  readonly #blocks = new Map<string, PooledBlock>();
  readonly #capacityBlocks: number;
  readonly #onRemoved: (hashes: readonly string[]) => void;
  #tick = 0;
  /**
   * How many tokens of noise a request left in its last, partial block, which is given out next. Attention multiplies what a
   * shorter request leaves standing there by 0, and 0 times NaN is NaN: seen on a real vLLM 0.32.
   */
  staleNoiseTokens = 0;

  constructor(capacityBlocks: number, onRemoved: (hashes: readonly string[]) => void) {
    this.#capacityBlocks = capacityBlocks;
    this.#onRemoved = onRemoved;
  }

  get size(): number {
    return this.#blocks.size;
  }

  get(hash: string): Uint8Array | undefined {
    return this.#blocks.get(hash)?.bytes;
  }

  /** Keeps the blocks of one request, first block first, as used just now. */
  keep(blocks: readonly { readonly hash: string; readonly bytes: Uint8Array }[]): void {
    const lastUsed = ++this.#tick;
    blocks.forEach(({ hash, bytes }, depth) => this.#blocks.set(hash, { bytes, lastUsed, depth }));
    const excess = this.#blocks.size - this.#capacityBlocks;
    if (excess <= 0) return;
    const oldest = [...this.#blocks].sort(([, a], [, b]) => a.lastUsed - b.lastUsed || b.depth - a.depth);
    const removed = oldest.slice(0, excess).map(([hash]) => hash);
    for (const hash of removed) this.#blocks.delete(hash);
    this.#onRemoved(removed);
  }

  clear(): void {
    this.#onRemoved([...this.#blocks.keys()]);
    this.#blocks.clear();
  }
}
