import { hash } from 'node:crypto';

/**
 * A piece of KV on disk: magic with the format's version · SHA-256 over all that follows · the piece's name (32 bytes) ·
 * payload. A file that was cut, changed, zeroed or put under another name does not decode.
 */
const magics = {
  /** The rows of one block of tokens. */
  rows: Buffer.from('CWMKVB\x00\x01', 'latin1'),
  /** The position state behind the last token of the block of that name. */
  position: Buffer.from('CWMKVP\x00\x01', 'latin1'),
} as const;
export type PieceKind = keyof typeof magics;

/** What the name of each kind of file ends with. */
export const pieceEndings = { rows: '.kv', position: '.state' } as const satisfies Record<PieceKind, string>;

const magicBytes = 8;
const checksumEnd = magicBytes + 32;
const headBytes = checksumEnd + 32;

/** Size of a block's file. */
export const blockFileBytes = (payloadBytes: number): number => headBytes + payloadBytes;

/** @param name The block's hash, 64 hex digits. */
export function encodeBlock(name: string, payload: Uint8Array, kind: PieceKind = 'rows'): Buffer {
  const file = Buffer.allocUnsafe(headBytes + payload.length);
  magics[kind].copy(file);
  file.write(name, checksumEnd, 'hex');
  file.set(payload, headBytes);
  hash('sha256', file.subarray(checksumEnd), 'buffer').copy(file, magicBytes);
  return file;
}

/** The payload, a view into `file`; null unless the file is whole and is the piece of that name and kind. */
export function decodeBlock(name: string, file: Buffer, kind: PieceKind = 'rows'): Buffer | null {
  if (file.length < headBytes || !file.subarray(0, magicBytes).equals(magics[kind])) return null;
  if (file.toString('hex', checksumEnd, headBytes) !== name) return null;
  const checksum = hash('sha256', file.subarray(checksumEnd), 'buffer');
  return checksum.equals(file.subarray(magicBytes, checksumEnd)) ? file.subarray(headBytes) : null;
}
