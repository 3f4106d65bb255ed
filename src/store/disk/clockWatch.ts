import * as z from 'zod/mini';
import { nullOn } from '../../protocol/errors.ts';
import { hasCode } from './files.ts';
import type { StoreParts } from './storeParts.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** A store that was not open for longer than this cannot tell a long pause from a clock that is wrong. */
export const longestPauseMs = 31 * dayMs;
/** How long the clock must run on after such a jump, or after it was set back, before anything expires. */
export const steadyAfterMs = dayMs;
/** The clock may be corrected by so much without a doubt about it. */
const correctionMs = 60 * 60 * 1000;

/** `clock.json`: what the store saw of the clock, in ISO 8601. */
const clockRecordSchema = z.object({ seen: z.string(), steadySince: z.string() });

/**
 * Whether the time of the machine is good enough to remove something for its age. A clock that is years ahead for one start would
 * otherwise empty the trash and move the audit log of yesterday away. After a jump nothing expires for a day: a wrong clock is
 * usually put right by then, and a store that was really not used for so long loses one day.
 */
export class ClockWatch {
  readonly #parts: StoreParts;
  #steadySinceMs: number | null = null;
  #seenMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** Looks at the clock, and remembers it once a day. Never throws for a full disk: emptying the trash is what makes room then. */
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
