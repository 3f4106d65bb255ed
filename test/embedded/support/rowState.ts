import { stateFrame } from '../../../src/embedded/kv/state/stateFile.ts';

/** One layer, whose rows have 8 and 24 bytes. */
export const rowLayout = { keys: [{ type: 1, rowBytes: 8 }], values: [{ type: 1, rowBytes: 24 }] };

/**
 * A state of these ids, as llama.cpp saves it and loads it; the rows of a token are made of its position.
 *
 * @param from position of the first of them. Default: 0.
 */
export function rowState(ids: readonly number[], from = 0): Buffer {
  const { sizeBytes, pieces, runs } = stateFrame(rowLayout, ids, undefined, from);
  const bytes = Buffer.alloc(sizeBytes);
  for (const piece of pieces) bytes.set(piece.bytes, piece.offset);
  for (const { offset, rowBytes } of runs) {
    for (let at = 0; at < ids.length; at++)
      bytes.fill(from + at + 1, offset + at * rowBytes, offset + (at + 1) * rowBytes);
  }
  return bytes;
}

/** The same of a part, as llama.cpp saves it: its cells name no sequence. */
export function partState(ids: readonly number[], from: number): Buffer {
  const whole = rowState(ids, from);
  const cellsAt = 20 + 4 * ids.length;
  const cells = ids.map((_, at) => whole.subarray(cellsAt + 12 * at, cellsAt + 12 * at + 8));
  for (const cell of cells) cell.writeInt32LE(0, 4);
  return Buffer.concat([whole.subarray(0, cellsAt), ...cells, whole.subarray(cellsAt + 12 * ids.length)]);
}
