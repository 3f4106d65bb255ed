import type { Clock } from '../../../base/clock.ts';

/** A file may have gone bad since an older reading, in milliseconds. */
const lastsMs = 5000;

type Checksum = Promise<string | null>;

/** Checksums of files that will soon be asked for, which are read while something else is waited for. */
export class ChecksumsAhead {
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  readonly #begun = new Map<string, { readonly checksum: Checksum; readonly atMs: number }>();

  constructor(clock: Pick<Clock, 'elapsedMs'>) {
    this.#clock = clock;
  }

  /** Rejects only for the caller that takes it. */
  begin(hash: string, read: () => Checksum): void {
    const nowMs = this.#clock.elapsedMs();
    for (const [old, { atMs }] of this.#begun) if (nowMs - atMs > lastsMs) this.#begun.delete(old);
    const checksum = read();
    checksum.catch(() => undefined);
    this.#begun.set(hash, { checksum, atMs: nowMs });
  }

  /** What was begun a moment ago, for one who asks; null: nothing was. */
  take(hash: string): Checksum | null {
    const begun = this.#begun.get(hash);
    this.#begun.delete(hash);
    return begun && this.#clock.elapsedMs() - begun.atMs <= lastsMs ? begun.checksum : null;
  }
}
