import type { Clock } from '../../../base/clock.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { EngineDescription } from '../../ports/engine.ts';

/** An older answer may be wrong by now, in milliseconds. */
const lastsMs = 5000;

type Elapsed = Pick<Clock, 'elapsedMs'>;

/** Answers of one kind, by what they are about. */
class Asked<Key, Answer> {
  readonly #clock: Elapsed;
  readonly #begun = new Map<Key, { readonly answer: Promise<Answer>; readonly atMs: number }>();

  constructor(clock: Elapsed) {
    this.#clock = clock;
  }

  /** Rejects only for the caller that takes it. */
  begin(key: Key, ask: () => Promise<Answer>): void {
    const nowMs = this.#clock.elapsedMs();
    for (const [old, { atMs }] of this.#begun) if (nowMs - atMs > lastsMs) this.#begun.delete(old);
    const answer = ask();
    answer.catch(() => undefined);
    this.#begun.set(key, { answer, atMs: nowMs });
  }

  /** What was begun a moment ago, for one who asks; null: nothing was. */
  take(key: Key): Promise<Answer> | null {
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    return begun && this.#clock.elapsedMs() - begun.atMs <= lastsMs ? begun.answer : null;
  }
}

/** What will soon be asked about KV that is brought back, and is asked while something else is waited for. */
export class AskedAhead {
  /** By the file's hash; null: there is no such file. */
  readonly checksums: Asked<string, string | null>;
  /** Of a session's engine. */
  readonly descriptions: Asked<SessionId, EngineDescription>;

  constructor(clock: Elapsed) {
    this.checksums = new Asked(clock);
    this.descriptions = new Asked(clock);
  }
}
