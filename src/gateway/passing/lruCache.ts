/** Values by their keys. The one that was used least lately goes first, once all of them together are too long or too many. */
export class LruCache<Key, Value> {
  readonly #all = new Map<Key, Value>();
  readonly #mostLength: number;
  readonly #lengthOf: (value: Value) => number;
  readonly #most: number;
  #length = 0;

  /** @param mostLength of all values together. @param most values. Default: any number. */
  constructor(mostLength: number, lengthOf: (value: Value) => number, most = Infinity) {
    this.#mostLength = mostLength;
    this.#lengthOf = lengthOf;
    this.#most = most;
  }

  get(key: Key): Value | undefined {
    const value = this.#all.get(key);
    if (value === undefined) return undefined;
    this.#all.delete(key);
    this.#all.set(key, value);
    return value;
  }

  put(key: Key, value: Value): void {
    this.#drop(key);
    this.#all.set(key, value);
    this.#length += this.#lengthOf(value);
    for (const oldest of this.#all.keys()) {
      if (this.#length <= this.#mostLength && this.#all.size <= this.#most) break;
      this.#drop(oldest);
    }
  }

  #drop(key: Key): void {
    const value = this.#all.get(key);
    if (value === undefined) return;
    this.#all.delete(key);
    this.#length -= this.#lengthOf(value);
  }
}
