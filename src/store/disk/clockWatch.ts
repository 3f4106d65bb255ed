import * as z from 'zod/mini';
import { nullOn } from '../../protocol/errors.ts';
import { hasCode } from './files.ts';
import type { StoreDisk } from './storeDisk.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** When the store was closed for longer than this, a long pause and a wrong clock look the same. */
const longestPauseMs = 31 * dayMs;
/** How long the clock must run after such a jump, or after it was set back, before anything expires. */
const steadyAfterMs = dayMs;
/** A correction of the clock by up to this much raises no doubt. */
const correctionMs = 60 * 60 * 1000;

/** `clock.json`: the times that the store saw, in ISO 8601. */
const clockRecordSchema = z.object({ seen: z.string(), steadySince: z.string() });

/**
 * Whether the machine's clock can be trusted enough to remove something for its age. Without this check, a clock that is years ahead
 * for one start would empty the trash and move yesterday's audit log away. After a jump nothing expires for a day: a wrong clock is
 * usually corrected by then, and a store that was really unused for so long only loses one day.
 */
export class ClockWatch {
  readonly #parts: StoreDisk;
  #steadySinceMs: number | null = null;
  #seenMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Reads the clock, and remembers it once a day. Never throws for a full disk, because emptying the trash is what makes room. */
  async isSteady(): Promise<boolean> {
    const nowMs = this.#parts.clock.now().getTime();
    if (this.#steadySinceMs === null) await this.#load();
    const sinceSeenMs = nowMs - this.#seenMs;
    const isJump = this.#steadySinceMs === null || sinceSeenMs > longestPauseMs || sinceSeenMs < -correctionMs;
    const steadySinceMs = isJump ? nowMs : (this.#steadySinceMs ?? nowMs);
    this.#steadySinceMs = steadySinceMs;
    if (isJump || sinceSeenMs >= dayMs) {
      this.#seenMs = nowMs;
      await this.#save(nowMs, steadySinceMs);
    }
    return nowMs - steadySinceMs >= steadyAfterMs;
  }

  async #load(): Promise<void> {
    const { records, layout } = this.#parts;
    const record = await nullOn(records.read(layout.clock, clockRecordSchema), 'Corrupted');
    if (!record) return;
    this.#seenMs = Date.parse(record.seen);
    this.#steadySinceMs = Date.parse(record.steadySince);
  }

  async #save(seenMs: number, steadySinceMs: number): Promise<void> {
    const { records, layout } = this.#parts;
    try {
      await records.write(layout.clock, {
        seen: new Date(seenMs).toISOString(),
        steadySince: new Date(steadySinceMs).toISOString(),
      });
    } catch (error) {
      if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
    }
  }
}
