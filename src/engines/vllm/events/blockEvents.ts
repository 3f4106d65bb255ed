import type { Timer } from '../../http/timing.ts';
import { BlockLedger, type AnnouncedReuse, type ExpectedBlocks } from './blockLedger.ts';
import type { EventSource } from './eventSource.ts';

/** Events follow an answer within milliseconds; one that has not come by then is lost. */
const patienceMs = 1_000;

/** A request whose events are awaited. */
export interface WatchedRequest {
  /** The events so far, once every block was announced, or after a second. */
  outcome(expected: ExpectedBlocks): Promise<AnnouncedReuse>;
  end(): void;
}

/** A server's events about its KV blocks, for one measured request at a time. */
export class BlockEvents {
  readonly #source: EventSource;
  readonly #timer: Timer;
  readonly #ledger = new BlockLedger();
  /** Why no events arrive; null where they do. */
  problem: string | null = null;

  constructor(source: EventSource, timer: Timer) {
    this.#source = source;
    this.#timer = timer;
    source.start(this.#ledger);
  }

  async ready(): Promise<boolean> {
    this.problem = await this.#source.ready();
    return this.problem === null;
  }

  watch(nonce: string): WatchedRequest {
    let changed: () => void = () => undefined;
    this.#ledger.watch(nonce, () => changed());
    const look = (expected: ExpectedBlocks): AnnouncedReuse => this.#ledger.reuseOf(nonce, expected);
    const outcome = async (expected: ExpectedBlocks): Promise<AnnouncedReuse> => {
      const isWhole = (): boolean => look(expected).announced >= expected.hashes.length;
      if (!isWhole())
        await new Promise<void>((resolve) => {
          const cancel = this.#timer.schedule(patienceMs, resolve);
          changed = () => {
            if (!isWhole()) return;
            cancel();
            resolve();
          };
        });
      return look(expected);
    };
    return { outcome, end: () => this.#ledger.unwatch(nonce) };
  }

  close(): void {
    this.#source.close();
  }
}
