import type { Receipt } from '../../../protocol/schemas/receipt.ts';

/** What became of an attempt to make a session's checkpoint: one of receipt and reason is null. */
export interface Kept {
  readonly receipt: Receipt | null;
  /** Why no checkpoint was made, in plain words. */
  readonly why: string | null;
  /** Something else came first: it may be made soon. */
  readonly gaveWay?: true;
}

export const notKept = (why: string): Kept => ({ receipt: null, why });
export const gaveWay: Kept = { ...notKept('Something else came first.'), gaveWay: true };
