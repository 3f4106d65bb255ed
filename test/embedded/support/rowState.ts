import { stateFrame } from '../../../src/embedded/kv/stateFile.ts';

/** One layer, whose rows have 8 and 24 bytes. */
export const rowLayout = { keys: [{ type: 1, rowBytes: 8 }], values: [{ type: 1, rowBytes: 24 }] };

/** A state of these ids, as llama.cpp saves it; the rows of a token are made of its position. */
export function rowState(ids: readonly number[]): Buffer {
  const { sizeBytes, pieces, runs } = stateFrame(rowLayout, ids);
  const bytes = Buffer.alloc(sizeBytes);
  for (const piece of pieces) bytes.set(piece.bytes, piece.offset);
  for (const { offset, rowBytes } of runs) {
    for (let at = 0; at < ids.length; at++) bytes.fill(at + 1, offset + at * rowBytes, offset + (at + 1) * rowBytes);
  }
  return bytes;
}
