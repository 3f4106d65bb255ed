import type { Clock } from '../../base/clock.ts';
import type { BlockCache } from '../ports/blockCache.ts';
import type { Store } from '../ports/store.ts';

const goodForMs = 60_000;

/** The size of everything below the storage directory, in bytes. Measuring stats every file, so the result is remembered. */
export class UsedBytes {
  readonly #store: Pick<Store, 'space'>;
  readonly #cache: BlockCache;
  readonly #clock: Clock;
  #known: { readonly bytes: number; readonly atMs: number } | null = null;

  constructor(store: Pick<Store, 'space'>, cache: BlockCache, clock: Clock) {
    this.#store = store;
    this.#cache = cache;
    this.#clock = clock;
  }

  /** The size as measured within the last minute, plus the bytes that were announced since. */
  async bytes(signal: AbortSignal): Promise<number> {
    const known = this.#known;
    if (known && this.#clock.elapsedMs() - known.atMs < goodForMs) return known.bytes;
    return this.measure(signal);
  }

  async measure(signal: AbortSignal): Promise<number> {
    const { recordBytes, trashBytes, quarantineBytes, otherBytes } = await this.#store.space.measure(signal);
    const { blockBytes, otherBytes: besideBlocks } = await this.#cache.sizes(signal);
    const bytes = recordBytes + trashBytes + quarantineBytes + otherBytes + blockBytes + besideBlocks;
    this.#known = { bytes, atMs: this.#clock.elapsedMs() };
    return bytes;
  }

  /** Announces bytes that are about to be written. */
  add(bytes: number): void {
    if (this.#known) this.#known = { ...this.#known, bytes: this.#known.bytes + bytes };
  }
}
