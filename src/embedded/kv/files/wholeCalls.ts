import { fstatSync, readSync, readvSync, writeSync, writevSync } from 'node:fs';
import type { ByteSource } from '../state/stateFile.ts';

/** Whether all these bytes could be read. A system may read fewer in one call. */
export function readAt(file: number, bytes: Buffer, offset: number): boolean {
  try {
    for (let at = 0; at < bytes.length;) {
      const got = readSync(file, bytes, at, bytes.length - at, offset + at);
      if (got === 0) return false;
      at += got;
    }
    return true;
  } catch {
    return false;
  }
}

export function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
}

/** Writes buffers one behind the other. */
export function writeAllOf(file: number, buffers: readonly Uint8Array[], offset: number): void {
  moveAll(buffers, offset, (left, at) => writevSync(file, left, at));
}

/** Fills buffers one behind the other. @throws Error when the file is shorter. */
export function readAllOf(file: number, buffers: readonly Uint8Array[], offset: number): void {
  moveAll(buffers, offset, (left, at) => {
    const got = readvSync(file, left, at);
    if (got === 0) throw new Error("llama.cpp's state ends before its rows.");
    return got;
  });
}

function moveAll(
  buffers: readonly Uint8Array[],
  offset: number,
  move: (left: readonly Uint8Array[], at: number) => number,
): void {
  let left = buffers.filter(({ length }) => length > 0);
  for (let at = offset; left.length > 0;) {
    let moved = move(left, at);
    at += moved;
    const whole = left.findIndex(({ length }) => {
      if (moved < length) return true;
      moved -= length;
      return false;
    });
    left = whole < 0 ? [] : left.slice(whole);
    if (left[0] && moved > 0) left[0] = left[0].subarray(moved);
  }
}

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
