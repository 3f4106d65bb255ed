import { describe, expect, it } from 'vitest';
import type { KvLayout, StateShape } from '../../../src/embedded/kv/state/kvLayout.ts';
import {
  bufferSource,
  parseStateFile,
  stateBytes,
  stateFrame,
  StateFormatError,
} from '../../../src/embedded/kv/state/stateFile.ts';

const layout: KvLayout = {
  keys: [
    { type: 1, rowBytes: 8 },
    { type: 1, rowBytes: 16 },
  ],
  values: [
    { type: 1, rowBytes: 8 },
    { type: 8, rowBytes: 34 },
  ],
};
const shape: StateShape = { rows: layout, hasPositionState: false };
const ids = Array.from({ length: 12 }, (_, index) => 70_000 + index);

function wholeState(rows = layout): Buffer {
  const { sizeBytes, pieces, runs } = stateFrame(rows, ids);
  const bytes = Buffer.alloc(sizeBytes);
  for (const piece of pieces) bytes.set(piece.bytes, piece.offset);
  runs.forEach(({ offset, rowBytes }, run) => bytes.fill(run + 1, offset, offset + rowBytes * ids.length));
  return bytes;
}

describe('a sequence state file', () => {
  it('says which tokens and which rows it holds', () => {
    const state = parseStateFile(bufferSource(wholeState()), null);
    expect(state.ids).toEqual(ids);
    expect(state.shape).toEqual(shape);
  });

  it('says where each run of rows lies, and how large it will be', () => {
    const whole = wholeState();
    const { runs } = parseStateFile(bufferSource(whole), shape);
    expect(runs).toEqual(stateFrame(layout, ids).runs);
    expect(runs.map(({ offset, rowBytes }) => [whole[offset], whole[offset + rowBytes * ids.length - 1]])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(stateBytes(layout, ids.length)).toBe(whole.length);
  });

  it('is refused when it is cut anywhere', () => {
    const whole = wholeState();
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseStateFile(bufferSource(whole.subarray(0, length)), shape)).toThrow(StateFormatError);
    }
  });

  it('of another layout is refused', () => {
    const other = wholeState({ ...layout, values: layout.keys });
    expect(() => parseStateFile(bufferSource(other), shape)).toThrow(StateFormatError);
  });

  it('is refused with bytes behind its end', () => {
    const longer = Buffer.concat([wholeState(), Buffer.alloc(100)]);
    expect(() => parseStateFile(bufferSource(longer), shape)).toThrow(StateFormatError);
  });

  // Each word that llama.cpp would trust: the cell count once made it hang.
  const words = {
    magic: 0,
    version: 4,
    'token count': 8,
    'stream count': 60,
    'cell count': 64,
    position: 80,
    'sequence count': 84,
    transposition: 212,
    'layer count': 216,
    'row size': 224,
  };
  it.each(Object.entries(words))('is refused with another %s', (_, offset) => {
    for (const word of [0xffff_ffff, 0x7fff_ffff, 2, 0]) {
      const damaged = wholeState();
      if (damaged.readUInt32LE(offset) === word) continue;
      damaged.writeUInt32LE(word, offset);
      expect(() => parseStateFile(bufferSource(damaged), shape)).toThrow(StateFormatError);
    }
  });
});
