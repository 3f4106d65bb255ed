import type { DiskTier } from './diskTier.ts';
import type { StateFrame } from '../state/stateFile.ts';
import { writeAll } from '../files/wholeCalls.ts';

/** The tail's rows, run after run; null when it is missing or was damaged. */
export function readTail(tier: DiskTier, ids: readonly number[], tail: string): Buffer | null {
  return tier.hasTail(ids, tail) ? (tier.rows?.read(tail) ?? null) : null;
}

/** @param from number of the tail's first token in the state. */
export function placeTail(tier: DiskTier, frame: StateFrame, file: number, rows: Buffer, from: number): void {
  const tokens = rows.length / tier.bytesOf(1);
  let at = 0;
  for (const { offset, rowBytes } of frame.runs) {
    writeAll(file, rows.subarray(at, at + rowBytes * tokens), offset + rowBytes * from);
    at += rowBytes * tokens;
  }
}

/** Number of leading blocks, without a gap, that are in the state now. Deletes damaged ones. */
export async function placeRows(
  tier: DiskTier,
  frame: StateFrame,
  file: number,
  hashes: readonly string[],
): Promise<number> {
  const { rows, counters } = tier;
  if (!rows) return hashes.length;
  const blocks = hashes.map((hash, index) => ({ hash, index }));
  const outcomes = await tier.threads.run(tier.job('place', rows, frame.runs, file, blocks));
  outcomes.forEach((outcome, at) => {
    if (outcome === 'done') counters.read++;
    if (outcome === 'damaged') rows.removeDamaged(hashes[at] ?? '');
  });
  const bad = outcomes.findIndex((outcome) => outcome !== 'done');
  return bad < 0 ? hashes.length : bad;
}
