import { hash } from 'node:crypto';

/**
 * One KV block on disk: magic with the format's version · SHA-256 over all that follows · the block's name (32 bytes) ·
 * payload. A file that was cut, changed, zeroed or put under another name does not decode.
 */
const magic = Buffer.from('CWMKVB\x00\x01', 'latin1');
const checksumEnd = magic.length + 32;
const headBytes = checksumEnd + 32;

/** Size of a block's file. */
export const blockFileBytes = (payloadBytes: number): number => headBytes + payloadBytes;

/** @param name The block's hash, 64 hex digits. */
export function encodeBlock(name: string, payload: Uint8Array): Buffer {
  const file = Buffer.allocUnsafe(headBytes + payload.length);
  magic.copy(file);
  file.write(name, checksumEnd, 'hex');
  file.set(payload, headBytes);
  hash('sha256', file.subarray(checksumEnd), 'buffer').copy(file, magic.length);
  return file;
}

/** The payload, a view into `file`; null unless the file is whole and is the block of that name. */
export function decodeBlock(name: string, file: Buffer): Buffer | null {
  if (file.length < headBytes || !file.subarray(0, magic.length).equals(magic)) return null;
  if (file.toString('hex', checksumEnd, headBytes) !== name) return null;
  const checksum = hash('sha256', file.subarray(checksumEnd), 'buffer');
  return checksum.equals(file.subarray(magic.length, checksumEnd)) ? file.subarray(headBytes) : null;
}
