import { ftruncateSync } from 'node:fs';
import type { DiskTier, Named } from './diskTier.ts';
import type { StateFileAt } from '../state/passingState.ts';
import { placeRows, placeTail, readTail } from './placeRows.ts';
import { parseStateFile, stateFrame } from '../state/stateFile.ts';
import { fileSource, writeAll } from '../files/wholeCalls.ts';

/** A state that was put together, and what is in it. */
export interface Assembled {
  readonly blocks: number;
  /** Of these blocks, and of the tail behind them where it was there. */
  readonly tokens: number;
  readonly state: StateFileAt;
}

/** As `DiskCache.assemble`. */
export async function assemble(
  tier: DiskTier,
  { ids, hashes, tail }: Named,
  maxBlocks: number,
): Promise<Assembled | null> {
  const startedMs = performance.now();
  for (let expected = tier.reach(hashes, maxBlocks); expected > 0;) {
    const positionState = tier.positions ? tier.positions.read(hashes[expected - 1] ?? '') : new Uint8Array();
    if (!positionState) {
      expected = tier.reach(hashes, expected - 1);
      continue;
    }
    const tailRows = tail !== null && expected === maxBlocks ? readTail(tier, ids, tail) : null;
    const tokens = expected * tier.blockTokens + (tailRows ? tier.tailTokens(ids) : 0);
    const frame = stateFrame(tier.shape.rows, ids.slice(0, tokens), positionState);
    const state = await tier.lane(0).place(frame.sizeBytes);
    const file = state.open();
    ftruncateSync(file, frame.sizeBytes);
    for (const { offset, bytes } of frame.pieces) writeAll(file, bytes, offset);
    if (tailRows) placeTail(tier, frame, file, tailRows, expected * tier.blockTokens);
    await tier.sums.pause();
    const good = await placeRows(tier, frame, file, hashes.slice(0, expected)).finally(() => tier.sums.resume());
    if (good === expected) {
      // llama.cpp gets checked states only, whatever made them.
      parseStateFile(fileSource(file), tier.shape);
      tier.counters.placeMs += performance.now() - startedMs;
      return { blocks: expected, tokens, state };
    }
    await tier.release();
    expected = tier.reach(hashes, good);
  }
  return null;
}
