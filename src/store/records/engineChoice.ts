import * as z from 'zod/mini';
import { nullOn } from '../../protocol/errors.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

const chosenEngineSchema = z.object({ engine: z.string() });

/** The engine of sessions that name none. */
export class EngineChoice {
  readonly #parts: StoreDisk;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Null where nobody chose one, and where the record of it is damaged. */
  async chosen(): Promise<string | null> {
    const { records, layout } = this.#parts;
    return (await nullOn(records.read(layout.engine, chosenEngineSchema), 'Corrupted'))?.engine ?? null;
  }

  /** Durable when it returns. @throws CwmError WriteFailed, StorageFull. */
  choose(engine: string): Promise<void> {
    const { records, layout } = this.#parts;
    return records.write(layout.engine, { engine });
  }
}
