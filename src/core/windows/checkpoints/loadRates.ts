/** A load is compared with those of at least an eighth of its bytes: the time of a smaller one is mostly what every request takes. */
const comparable = 8;

interface Load {
  readonly bytes: number;
  readonly ms: number;
}

/** How fast each engine loaded KV, so that the cost of the next load is known before it begins. */
export class LoadRates {
  /** By engine: the last load, but for those that say nothing about the one that is there. */
  readonly #loads = new Map<string, Load>();

  observe(engineSpec: string, load: Load): void {
    const known = this.#loads.get(engineSpec);
    if (!known || load.bytes * comparable >= known.bytes) this.#loads.set(engineSpec, load);
  }

  /** Milliseconds, at the last rate. Null when no comparable load is known yet. */
  expectedMs(engineSpec: string, bytes: number): number | null {
    const known = this.#loads.get(engineSpec);
    return known && known.bytes * comparable >= bytes ? (known.ms / known.bytes) * bytes : null;
  }
}
