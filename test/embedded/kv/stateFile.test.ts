import { describe, expect, it } from 'vitest';
import type { KvLayout, StateShape } from '../../../src/embedded/kv/kvLayout.ts';
import {
  bufferSource,
  cutBlocks,
  parseStateFile,
  StateAssembly,
  StateFormatError,
} from '../../../src/embedded/kv/stateFile.ts';

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
const tokenBytes = 66;
const blockTokens = 4;
const ids = Array.from({ length: 12 }, (_, index) => 70_000 + index);
const payloads = [1, 2, 3].map((seed) =>
  Buffer.from(Array.from({ length: tokenBytes * blockTokens }, (_, index) => (index * 7 + seed * 13) % 256)),
);

function wholeState(): Buffer {
  const state = new StateAssembly(layout, ids);
  payloads.forEach((payload, block) => state.place(block * blockTokens, blockTokens, payload));
  return state.bytes;
}

describe('a sequence state file', () => {
  it('says which tokens and which rows it holds', () => {
    const state = parseStateFile(bufferSource(wholeState()), null);
    expect(state.ids).toEqual(ids);
    expect(state.shape).toEqual(shape);
  });

  it('gives back the blocks that were placed in it', () => {
    const source = bufferSource(wholeState());
    const state = parseStateFile(source, shape);
    expect(cutBlocks(source, state, 0, 3, blockTokens)).toEqual(payloads);
    expect(cutBlocks(source, state, 1, 1, blockTokens)).toEqual([payloads[1]]);
  });

  it('is refused when it is cut anywhere', () => {
    const whole = wholeState();
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseStateFile(bufferSource(whole.subarray(0, length)), shape)).toThrow(StateFormatError);
    }
  });

  it('of another layout is refused', () => {
    const other = new StateAssembly({ ...layout, values: layout.keys }, ids);
    expect(() => parseStateFile(bufferSource(other.bytes), shape)).toThrow(StateFormatError);
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
