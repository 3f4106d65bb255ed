type Load = 'ours' | 'place' | 'raw' | 'encrypted';

/** What is measured in each round; milliseconds, but for the bytes of `peak`, `freeze.peak`, `bytes.turn` and `bytes.tail`. */
export type Measure =
  | `${'warm' | 'cold'}.${Load}`
  | 'plainRead'
  | 'request'
  | 'request.blocks'
  | 'tail'
  | 'tail.blocks'
  | 'leastTail'
  | 'processor.ours'
  | 'processor.raw'
  | 'processor.freeze'
  | 'processor.save'
  | 'peak'
  | 'slots.restore'
  | 'slots.save'
  | `freeze.${'ours' | 'raw' | 'encrypted' | 'sum' | 'tail' | 'turn' | 'peak'}`
  | `bytes.${'turn' | 'tail'}`
  | `durable.${'ours' | 'raw'}`;

/** The rounds of one size. */
export class Series {
  readonly #values = new Map<Measure, number[]>();

  /** Null and undefined for what this system cannot measure. */
  add(measure: Measure, value: number | null | undefined): void {
    if (value === null || value === undefined || Number.isNaN(value)) return;
    this.#values.set(measure, [...(this.#values.get(measure) ?? []), value]);
  }

  /** The fastest round, because other programs only add time; null where nothing was measured. */
  least(measure: Measure): number | null {
    const values = this.#values.get(measure);
    return values ? Math.min(...values) : null;
  }

  most(measure: Measure): number | null {
    const values = this.#values.get(measure);
    return values ? Math.max(...values) : null;
  }

  rounds(measure: Measure): number {
    return this.#values.get(measure)?.length ?? 0;
  }
}
