import { closeSync, createReadStream, createWriteStream, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';

const idsAt = 12;
const cellBytes = 12;
const version = 4;

/**
 * Makes a slot file of llama-server (state files of version 4) of a state file of node-llama-cpp (version 3): the same rows behind another
 * head. So the server need not compute a context to restore it.
 */
export async function writeSlotFile(statePath: string, slotPath: string): Promise<void> {
  const file = openSync(statePath, 'r');
  const read = (offset: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, offset);
    return bytes;
  };
  try {
    const magic = read(0, 4);
    const tokens = read(8, 4).readUInt32LE();
    const cellsAt = idsAt + 4 * tokens;
    // Stream count, cell count, cells, whether values are transposed, layer count.
    const cells = read(cellsAt, 8 + cellBytes * tokens + 8);
    const rowsAt = cellsAt + cells.length;
    const ids = read(idsAt, 4 * tokens);
    const head = Buffer.concat([magic, words(version, tokens + 4, -1, 1, tokens), ids, words(0), cells, words(0, 0)]);
    const target = createWriteStream(slotPath);
    target.write(head);
    await pipeline(createReadStream(statePath, { start: rowsAt, highWaterMark: 1 << 20 }), target);
  } finally {
    closeSync(file);
  }
}

const words = (...values: number[]): Buffer => Buffer.from(Int32Array.from(values).buffer);
