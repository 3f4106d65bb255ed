import type { Operations } from '../../core/operations.ts';
import type { RouteOutput } from '../../protocol/api.ts';

type Space = NonNullable<RouteOutput<'metrics'>['space']>;

/** A measurement stats every file: programs that ask for metrics ask often. */
const freshMs = 60_000;

/** What takes the disk space, at most a minute old. */
export class MeasuredSpace {
  readonly #usage: Operations['usage'];
  readonly #elapsedMs: () => number;
  #last: { readonly atMs: number; readonly space: Promise<Space | null> } | undefined;

  constructor(usage: Operations['usage'], elapsedMs: () => number) {
    this.#usage = usage;
    this.#elapsedMs = elapsedMs;
  }

  /** Null: it could not be measured. */
  get(): Promise<Space | null> {
    const nowMs = this.#elapsedMs();
    if (!this.#last || nowMs - this.#last.atMs > freshMs) this.#last = { atMs: nowMs, space: this.#measure() };
    return this.#last.space;
  }

  async #measure(): Promise<Space | null> {
    try {
      const { kv, recordBytes, trashBytes, quarantineBytes, otherBytes, totalBytes, quotaBytes, freeBytes } =
        await this.#usage();
      return {
        tiers: {
          kv: kv.bytes,
          records: recordBytes,
          trash: trashBytes,
          quarantine: quarantineBytes,
          other: otherBytes,
        },
        kvBlocks: kv.blocks ?? null,
        totalBytes,
        quotaBytes,
        freeBytes,
      };
    } catch {
      return null;
    }
  }
}
