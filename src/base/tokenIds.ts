const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Token ids as files store them: unsigned 32-bit, little endian, no header. */
export function encodeTokenIds(ids: readonly number[]): Uint8Array {
  const words = Uint32Array.from(ids);
  if (!isLittleEndian) Buffer.from(words.buffer).swap32();
  return new Uint8Array(words.buffer);
}

/** @throws RangeError when the bytes are not a whole number of ids. */
export function decodeTokenIds(bytes: Uint8Array): number[] {
  if (bytes.byteLength % 4 !== 0)
    throw new RangeError(`${bytes.byteLength} bytes are not a whole number of u32 token ids`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, index) => view.getUint32(index * 4, true));
}

/** How many leading ids two sequences share. */
export function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let index = 0;
  while (index < limit && a[index] === b[index]) index++;
  return index;
}

/** How many trailing ids two sequences share. */
export function commonSuffixLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.at(-1 - length) === b.at(-1 - length)) length++;
  return length;
}

/** Whether a sequence ends with another one. */
export const endsWithIds = (ids: readonly number[], end: readonly number[]): boolean =>
  commonSuffixLength(ids, end) === end.length;
