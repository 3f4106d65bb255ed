import type { RowRun } from '../threads/blockJob.ts';
import { isSameLayout, kvBytesPerToken, type KvLayout, type KvRows, type StateShape } from './kvLayout.ts';

/**
 * llama.cpp's sequence state file (`ggsq`, version 3) for one sequence, read and written without llama.cpp: a file cut
 * inside its rows aborts that process and a wrong cell count never returns, so nothing reaches it unchecked:
 *
 * magic u32 · version u32 · token count u32 · token ids · rows · position state · end of file.
 *
 * The rows are those of the cache that holds every token: stream count u32 (1) · cell count u32 · cells of {position,
 * sequence count 1, sequence 0} · values transposed u32 (0) · layer count u32 · {type u32, row bytes u64, rows} of each
 * layer's keys · the same of each layer's values. The position state is whatever follows: a sliding window's cells, a
 * recurrent state. Its bytes are not understood here; a checksum vouches for them.
 */
const magic = 0x6767_7371;
const version = 3;
/** A cell is its position and a list of sequences. */
const cellBytes = { withSequence: 12, withoutSequence: 8 } as const;
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
  readonly shape: StateShape;
  /** In the layout's order. */
  readonly runs: readonly RowRun[];
  /** Where the position state begins; the end of the file when there is none. */
  readonly positionOffset: number;
}

/** llama.cpp must not read this file. */
export class StateFormatError extends Error {
  override readonly name = 'StateFormatError';
}

/** Which part of a sequence a state is. */
export interface StatePart {
  /** Position of its first token. */
  readonly from: number;
  /** Whether its cells name the sequence: llama.cpp reads no others, and writes others for a sequence that the context was not made for. */
  readonly namesSequence: boolean;
}

export const wholeSequence: StatePart = { from: 0, namesSequence: true };

const bytesOfCell = ({ namesSequence }: StatePart): number =>
  namesSequence ? cellBytes.withSequence : cellBytes.withoutSequence;

/**
 * @param part default: the whole sequence.
 * @param expected the shape that it must have. Null takes what is there: rows where the file has them for positions
 *   0 … n−1, and everything else as position state.
 * @throws StateFormatError for anything but a whole, well-formed state.
 */
export function parseStateFile(source: ByteSource, expected: StateShape | null, part = wholeSequence): StateFile {
  const reader = new Reader(source);
  reader.expect('magic', magic, reader.u32());
  reader.expect('version', version, reader.u32());
  const tokenCount = reader.u32();
  if (tokenCount * 4 > source.sizeBytes)
    throw new StateFormatError(`${tokenCount} tokens in a file of ${source.sizeBytes} bytes`);
  const ids = Array.from(integers(reader.take(tokenCount * 4)));
  const idsEnd = reader.at;
  const rows = expected?.rows === null ? null : takeRows(reader, tokenCount, part, expected === null);
  const positionOffset = rows ? reader.at : idsEnd;
  const hasPositionState = positionOffset < source.sizeBytes;
  if (expected?.rows && (!rows || !isSameLayout(expected.rows, rows.layout))) {
    throw new StateFormatError('the layout is another');
  }
  if (expected && expected.hasPositionState !== hasPositionState) {
    throw new StateFormatError(
      hasPositionState
        ? `${source.sizeBytes - positionOffset} bytes too many`
        : 'the state of the last position is missing',
    );
  }
  return {
    ids,
    shape: { rows: rows?.layout ?? null, hasPositionState },
    runs: rows?.runs ?? [],
    positionOffset,
  };
}

/** Reads numbers in the order in which they stand. */
class Reader {
  at = 0;
  readonly source: ByteSource;

  constructor(source: ByteSource) {
    this.source = source;
  }

  take(length: number): Buffer {
    const bytes = this.source.read(this.at, length);
    if (bytes.length < length) throw new StateFormatError(`cut at byte ${this.at + bytes.length}`);
    this.at += length;
    return bytes;
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  expect(what: string, expected: number, actual: number): void {
    if (actual !== expected) throw new StateFormatError(`${what} is ${actual}, not ${expected}`);
  }
}

interface FoundRows {
  readonly layout: KvLayout;
  readonly runs: readonly RowRun[];
}

/** @param isOptional returns null instead of throwing when the rows are not those of positions 0 … n−1. */
function takeRows(reader: Reader, tokenCount: number, part: StatePart, isOptional: boolean): FoundRows | null {
  try {
    return readRows(reader, tokenCount, part);
  } catch (error) {
    if (isOptional && error instanceof StateFormatError) return null;
    throw error;
  }
}

/**
 * A file cut just before the values of a layer looks whole: some architectures have none for some layers, and the file does
 * not say how many there are. A caller that knows the layout compares it.
 */
function readRows(reader: Reader, tokenCount: number, part: StatePart): FoundRows {
  reader.expect('stream count', 1, reader.u32());
  reader.expect('cell count', tokenCount, reader.u32());
  const cells = integers(reader.take(tokenCount * bytesOfCell(part)));
  const words = bytesOfCell(part) / 4;
  const sequences = part.namesSequence ? 1 : 0;
  for (let index = 0; index < tokenCount; index++) {
    if (cells[index * words] !== part.from + index || cells[index * words + 1] !== sequences)
      throw new StateFormatError(`cell ${index} is out of place`);
  }
  return readRuns(reader, tokenCount);
}

/**
 * The layout of a position state that is the cache of a sliding window, of the last of so many tokens. It has the form of the rows of all
 * tokens, with those of the window alone. Nothing in it is left to llama.cpp to believe: what another machine wrote may be loaded.
 *
 * @throws StateFormatError for anything else, such as a recurrent state, which only llama.cpp could read.
 */
export function windowLayout(position: Buffer, tokenCount: number): KvLayout {
  const reader = new Reader(bufferSource(position));
  reader.expect('stream count', 1, reader.u32());
  const cellCount = reader.u32();
  if (cellCount < 1 || cellCount > tokenCount) throw new StateFormatError(`${cellCount} cells of ${tokenCount} tokens`);
  const cells = integers(reader.take(cellCount * cellBytes.withSequence));
  const places = new Set<number>();
  for (let index = 0; index < cellCount; index++) {
    const [place = -1, sequences, sequence] = cells.subarray(index * 3, index * 3 + 3);
    if (place < 0 || place >= tokenCount || places.has(place) || sequences !== 1 || sequence !== 0)
      throw new StateFormatError(`cell ${index} is out of place`);
    places.add(place);
  }
  if (!places.has(tokenCount - 1)) throw new StateFormatError('the last token is missing');
  return readRuns(reader, cellCount).layout;
}

function readRuns(reader: Reader, tokenCount: number): FoundRows {
  const { sizeBytes } = reader.source;
  reader.expect('transposition of values', 0, reader.u32());
  const layers = reader.u32();
  if (layers > maxLayers) throw new StateFormatError(`${layers} layers`);
  const runs: RowRun[] = [];
  const takeRun = (): KvRows => {
    const head = reader.take(rowsHeadBytes);
    const rowBytes = Number(head.readBigUInt64LE(4));
    if (rowBytes < 1 || rowBytes > maxRowBytes) throw new StateFormatError(`rows of ${rowBytes} bytes`);
    runs.push({ offset: reader.at, rowBytes });
    reader.at += rowBytes * tokenCount;
    if (reader.at > sizeBytes) throw new StateFormatError(`cut inside the rows of section ${runs.length}`);
    return { type: head.readUInt32LE(), rowBytes };
  };
  const keys = Array.from({ length: layers }, takeRun);
  const values: KvRows[] = [];
  while (reader.at < sizeBytes && values.length < layers) values.push(takeRun());
  return { layout: { keys, values }, runs };
}

// The file is in the machine's byte order, as typed arrays are.
const bytesOf = (values: Uint32Array | Int32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** A copy, because the bytes may begin anywhere. */
const integers = (bytes: Buffer): Int32Array => new Int32Array(new Uint8Array(bytes).buffer);

/** Everything of a state file but the rows, and where they belong. */
export interface StateFrame {
  readonly sizeBytes: number;
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** In the layout's order. */
  readonly runs: readonly RowRun[];
}

/**
 * @param positionState that of the last of these ids; empty for a model that has none.
 * @param from position of the first of these ids.
 */
export function stateFrame(
  rows: KvLayout | null,
  ids: readonly number[],
  positionState: Uint8Array = new Uint8Array(),
  from = 0,
): StateFrame {
  const head = Buffer.concat([idsHead(ids), ...(rows ? [rowsHead(rows, ids.length, from)] : [])]);
  const pieces = [{ offset: 0, bytes: head as Uint8Array }];
  let at = head.length;
  const runs = rows ? runsOf(rows, ids.length) : [];
  [...(rows?.keys ?? []), ...(rows?.values ?? [])].forEach(({ type, rowBytes }) => {
    const runHead = Buffer.alloc(rowsHeadBytes);
    runHead.writeUInt32LE(type);
    runHead.writeBigUInt64LE(BigInt(rowBytes), 4);
    pieces.push({ offset: at, bytes: runHead });
    at += rowsHeadBytes + rowBytes * ids.length;
  });
  if (positionState.length > 0) pieces.push({ offset: at, bytes: positionState });
  return { sizeBytes: at + positionState.length, pieces, runs };
}

/** A state of these ids without a single row: llama.cpp takes it for tokens whose rows it has. */
export const idsWithoutRows = (ids: readonly number[]): Buffer =>
  Buffer.concat([idsHead(ids), bytesOf(Uint32Array.of(1, 0))]);

const idsHead = (ids: readonly number[]): Buffer =>
  Buffer.concat([bytesOf(Uint32Array.of(magic, version, ids.length)), bytesOf(Uint32Array.from(ids))]);

/** Where the rows of so many tokens lie in a state file, in the layout's order. */
export function runsOf(rows: KvLayout, tokens: number, part = wholeSequence): readonly RowRun[] {
  let at = 28 + (4 + bytesOfCell(part)) * tokens;
  return [...rows.keys, ...rows.values].map(({ rowBytes }): RowRun => {
    const offset = at + rowsHeadBytes;
    at = offset + rowBytes * tokens;
    return { offset, rowBytes };
  });
}

/** Size of the state of this many tokens, without its position state. */
export const stateBytes = (rows: KvLayout | null, tokens: number): number =>
  rows
    ? 28 + (16 + kvBytesPerToken(rows)) * tokens + rowsHeadBytes * (rows.keys.length + rows.values.length)
    : 12 + 4 * tokens;

function rowsHead(rows: KvLayout, tokenCount: number, from: number): Buffer {
  const cells = new Int32Array(tokenCount * 3);
  for (let index = 0; index < tokenCount; index++) {
    cells[index * 3] = from + index;
    cells[index * 3 + 1] = 1;
  }
  return Buffer.concat([
    bytesOf(Uint32Array.of(1, tokenCount)),
    bytesOf(cells),
    bytesOf(Uint32Array.of(0, rows.keys.length)),
  ]);
}
