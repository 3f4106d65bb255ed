import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';

const endMark = 0x06054b50;
const deflated = 8;

/** The files in a VSIX, which is a ZIP archive, by their names. */
export function vsixFiles(file: string): ReadonlyMap<string, () => Buffer> {
  const bytes = readFileSync(file);
  let end = bytes.length - 22;
  while (end >= 0 && bytes.readUInt32LE(end) !== endMark) end--;
  if (end < 0) throw new Error(`${file} is no ZIP archive.`);
  const files = new Map<string, () => Buffer>();
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const method = bytes.readUInt16LE(at + 10);
    const packedBytes = bytes.readUInt32LE(at + 20);
    const nameBytes = bytes.readUInt16LE(at + 28);
    const local = bytes.readUInt32LE(at + 42);
    files.set(bytes.toString('utf8', at + 46, at + 46 + nameBytes), () => {
      const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
      const packed = bytes.subarray(start, start + packedBytes);
      return method === deflated ? inflateRawSync(packed) : packed;
    });
    at += 46 + nameBytes + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return files;
}
