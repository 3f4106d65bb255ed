import type { VerifyStep } from '../../protocol/schemas/health.ts';

export type OnChecked = (step: string, done: number, of: number) => void;

/** Checks of the whole store. */
export interface StoreCheck {
  /**
   * Reads every record and checks it against its checksums and against the others. Changes nothing. `onChecked` gets the number of
   * items that a step has checked, and their total.
   */
  verify(signal: AbortSignal, onChecked?: OnChecked): Promise<VerifyStep[]>;
  /**
   * Sets damaged files aside, rebuilds lost session records from their messages, and the index from the files. @param engine for
   * sessions whose own engine is not known any more. @returns what was done, in plain words.
   */
  repair(engine: string, signal: AbortSignal, onChecked?: OnChecked): Promise<string[]>;
}
