import { fstatSync, readSync } from 'node:fs';
import type { ByteSource } from './stateFile.ts';

/** Below the limit of one read call on every system. */
const maxReadBytes = 1 << 30;

/** The bytes of an open file. */
export function fileSource(file: number): ByteSource {
  return {
    sizeBytes: fstatSync(file).size,
    read: (offset, length) => {
      const bytes = Buffer.allocUnsafe(length);
      let at = 0;
      while (at < length) {
        const got = readSync(file, bytes, at, Math.min(length - at, maxReadBytes), offset + at);
        if (got === 0) break;
        at += got;
      }
      return bytes.subarray(0, at);
    },
  };
}
