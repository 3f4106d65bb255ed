import { isSameLayout, type KvLayout, type KvRows } from './kvLayout.ts';

/**
 * llama.cpp's sequence state file (`ggsq`, version 3) for one sequence with a plain attention cache, read and written
 * without llama.cpp: a file cut inside its rows aborts that process and a wrong cell count never returns, so nothing
 * reaches it unchecked:
 *
 * magic u32 · version u32 · token count u32 · token ids · stream count u32 (1) · cell count u32 · cells of {position,
 * sequence count 1, sequence 0} · values transposed u32 (0) · layer count u32 · {type u32, row bytes u64, rows} of each
 * layer's keys · the same of each layer's values · end of file.
 */
const magic = 0x6767_7371;
const version = 3;
const cellBytes = 12;
const rowsHeadBytes = 12;
const maxLayers = 1024;
const maxRowBytes = 1 << 24;

/** Bytes that may be a file or a buffer. Reading past the end gives fewer bytes. */
export interface ByteSource {
  readonly sizeBytes: number;
  read(offset: number, length: number): Buffer;
}

export const bufferSource = (bytes: Buffer): ByteSource => ({
  sizeBytes: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});

export interface StateFile {
  readonly ids: readonly number[];
  readonly layout: KvLayout;
  /** Where each run of rows begins, in the layout's order. */
  readonly rowOffsets: readonly number[];
}

/** The file is not one that llama.cpp may see, or not of a kind that blocks can be cut from. */
export class StateFormatError extends Error {
  override readonly name = 'StateFormatError';
}

/**
 * @param expected the layout that it must have. Null takes what is there, which misses a cut just before the values of a
 *   layer: some architectures keep none for some layers, and the file does not say how many there are.
 * @throws StateFormatError for anything but a whole, well-formed state of positions 0 … n−1.
 */
export function parseStateFile(source: ByteSource, expected: KvLayout | null): StateFile {
  let at = 0;
  const take = (length: number): Buffer => {
    const bytes = source.read(at, length);
    if (bytes.length < length) throw new StateFormatError(`cut at byte ${at + bytes.length}`);
    at += length;
    return bytes;
  };
  const u32 = (): number => take(4).readUInt32LE();
  const expect = (what: string, expected: number, actual: number): void => {
    if (actual !== expected) throw new StateFormatError(`${what} is ${actual}, not ${expected}`);
  };

  expect('magic', magic, u32());
  expect('version', version, u32());
  const tokenCount = u32();
  if (tokenCount * 4 > source.sizeBytes)
    throw new StateFormatError(`${tokenCount} tokens in a file of ${source.sizeBytes} bytes`);
  const ids = Array.from(integers(take(tokenCount * 4)));
  expect('stream count', 1, u32());
  expect('cell count', tokenCount, u32());
  const cells = integers(take(tokenCount * cellBytes));
  for (let index = 0; index < tokenCount; index++) {
    if (cells[index * 3] !== index || cells[index * 3 + 1] !== 1)
      throw new StateFormatError(`cell ${index} is out of place`);
  }
  expect('transposition of values', 0, u32());
  const layers = u32();
  if (layers > maxLayers) throw new StateFormatError(`${layers} layers`);

  const rowOffsets: number[] = [];
  const takeRows = (): KvRows => {
    const head = take(rowsHeadBytes);
    const rowBytes = Number(head.readBigUInt64LE(4));
    if (rowBytes < 1 || rowBytes > maxRowBytes) throw new StateFormatError(`rows of ${rowBytes} bytes`);
    rowOffsets.push(at);
    at += rowBytes * tokenCount;
    if (at > source.sizeBytes) throw new StateFormatError(`cut inside the rows of section ${rowOffsets.length}`);
    return { type: head.readUInt32LE(), rowBytes };
  };
  const keys = Array.from({ length: layers }, takeRows);
  const values: KvRows[] = [];
  while (at < source.sizeBytes && values.length < layers) values.push(takeRows());
  if (at !== source.sizeBytes) throw new StateFormatError(`${source.sizeBytes - at} bytes too many`);
  if (expected && !isSameLayout(expected, { keys, values })) throw new StateFormatError('the layout is another');
  return { ids, layout: { keys, values }, rowOffsets };
}

// The file is in the machine's byte order, as typed arrays are.
const bytesOf = (values: Uint32Array | Int32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** A copy, because the bytes may begin anywhere. */
const integers = (bytes: Buffer): Int32Array => new Int32Array(new Uint8Array(bytes).buffer);

/** An empty state for these ids, in which blocks of rows are then placed. */
export class StateAssembly {
  readonly bytes: Buffer;
  readonly #layout: readonly KvRows[];
  readonly #rowOffsets: number[] = [];

  constructor(layout: KvLayout, ids: readonly number[]) {
    this.#layout = [...layout.keys, ...layout.values];
    const cells = new Int32Array(ids.length * 3);
    for (let position = 0; position < ids.length; position++) {
      cells[position * 3] = position;
      cells[position * 3 + 1] = 1;
    }
    const head = Buffer.concat([
      bytesOf(Uint32Array.of(magic, version, ids.length)),
      bytesOf(Uint32Array.from(ids)),
      bytesOf(Uint32Array.of(1, ids.length)),
      bytesOf(cells),
      bytesOf(Uint32Array.of(0, layout.keys.length)),
    ]);
    const rowBytes = this.#layout.reduce((sum, rows) => sum + rowsHeadBytes + rows.rowBytes * ids.length, 0);
    this.bytes = Buffer.allocUnsafeSlow(head.length + rowBytes);
    let at = head.copy(this.bytes);
    for (const rows of this.#layout) {
      at = this.bytes.writeUInt32LE(rows.type, at);
      at = this.bytes.writeBigUInt64LE(BigInt(rows.rowBytes), at);
      this.#rowOffsets.push(at);
      at += rows.rowBytes * ids.length;
    }
  }

  /** Copies a block's rows to where the tokens from `firstToken` on belong. */
  place(firstToken: number, blockTokens: number, payload: Uint8Array): void {
    let from = 0;
    this.#layout.forEach((rows, index) => {
      const length = rows.rowBytes * blockTokens;
      this.bytes.set(
        payload.subarray(from, from + length),
        (this.#rowOffsets[index] ?? 0) + rows.rowBytes * firstToken,
      );
      from += length;
    });
  }
}

/** The rows of `blockCount` blocks from `firstBlock` on, one payload for each, as {@link StateAssembly.place} takes them. */
export function cutBlocks(
  source: ByteSource,
  state: StateFile,
  firstBlock: number,
  blockCount: number,
  blockTokens: number,
): Buffer[] {
  const layout = [...state.layout.keys, ...state.layout.values];
  const tokenBytes = layout.reduce((sum, rows) => sum + rows.rowBytes, 0);
  const payloads = Array.from({ length: blockCount }, () => Buffer.allocUnsafe(tokenBytes * blockTokens));
  let to = 0;
  layout.forEach((rows, index) => {
    const length = rows.rowBytes * blockTokens;
    const run = source.read((state.rowOffsets[index] ?? 0) + firstBlock * length, blockCount * length);
    payloads.forEach((payload, block) => run.copy(payload, to, block * length, (block + 1) * length));
    to += length;
  });
  return payloads;
}
