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

/** Memory of token ids, of which `used` are written; those never change. */
interface IdMemory {
  readonly words: Uint32Array;
  used: number;
}

/** How much larger than its ids the memory of a list is, so that the next turns of a conversation copy none of them. */
const roomShare = 1.25;

/**
 * Token ids that never change. A longer list that begins with them shares their memory, so that each turn of a long conversation costs its own ids
 * and not all of them.
 */
export class TokenList {
  readonly length: number;
  readonly #memory: IdMemory;
  /** The last comparison: a turn asks for that of its prompt more than once. */
  #compared: { readonly ids: WeakRef<readonly number[]>; readonly length: number; readonly shared: number } | null =
    null;

  private constructor(memory: IdMemory, length: number) {
    this.#memory = memory;
    this.length = length;
  }

  static of(...parts: readonly (readonly number[])[]): TokenList {
    const length = parts.reduce((sum, ids) => sum + ids.length, 0);
    const memory = { words: new Uint32Array(Math.ceil(length * roomShare)), used: 0 };
    return new TokenList(memory, 0).followedBy(...parts);
  }

  /** These ids, and others behind them. */
  followedBy(...parts: readonly (readonly number[])[]): TokenList {
    const length = parts.reduce((sum, ids) => sum + ids.length, this.length);
    let memory = this.#memory;
    // Another list may have gone on from here, and memory may be full.
    if (memory.used !== this.length || memory.words.length < length) {
      memory = { words: new Uint32Array(Math.ceil(length * roomShare)), used: this.length };
      memory.words.set(this.#memory.words.subarray(0, this.length));
    }
    for (const ids of parts) {
      memory.words.set(ids, memory.used);
      memory.used += ids.length;
    }
    return new TokenList(memory, length);
  }

  /** How many leading ids it shares with these parts, one behind the other. */
  sharedWith(...parts: readonly (readonly number[])[]): number {
    let at = 0;
    for (const ids of parts) {
      const shared = this.#sharedBehind(at, ids);
      at += shared;
      if (shared < ids.length) break;
    }
    return at;
  }

  #sharedBehind(from: number, ids: readonly number[]): number {
    if (from === 0 && this.#compared?.ids.deref() === ids && this.#compared.length === ids.length)
      return this.#compared.shared;
    const words = this.#memory.words.subarray(from, this.length);
    const limit = Math.min(ids.length, words.length);
    let shared = 0;
    while (shared < limit && words[shared] === ids[shared]) shared++;
    if (from === 0) this.#compared = { ids: new WeakRef(ids), length: ids.length, shared };
    return shared;
  }

  toArray(): number[] {
    return Array.from(this.#memory.words.subarray(0, this.length));
  }
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
