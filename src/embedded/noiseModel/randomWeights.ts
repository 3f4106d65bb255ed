/** 24 bytes in units of two. */
const q5BlockHalves = 12;

/**
 * Random numbers for weights: xoshiro128**, and a uniform distribution. Only integer arithmetic and single IEEE operations,
 * so that every machine makes the same bytes; after one matrix product nobody could tell it from a normal distribution.
 */
export class RandomWeights {
  readonly #state: Uint32Array;
  readonly #tables = new Map<number, Uint16Array>();

  constructor(seed: number) {
    let mixed = seed >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e37_79b9) >>> 0;
      let word = mixed ^ (mixed >>> 16);
      word = Math.imul(word, 0x21f0_aaad);
      word ^= word >>> 15;
      word = Math.imul(word, 0x735a_2d97);
      return word ^ (word >>> 15);
    });
  }

  /** Fills with half-precision numbers of mean 0 and the given standard deviation, as bits. */
  fillHalf(target: Uint16Array, deviation: number): void {
    const table = this.#tableOf(deviation);
    this.#fill(target, table);
  }

  /**
   * Fills with blocks of 32 five-bit numbers (ggml's `q5_1`: scale and minimum in half precision, then the 32 highest bits,
   * then the low halves). Scale and minimum are the same everywhere, so that any bits are weights of this deviation.
   */
  fillQ5(target: Uint16Array, deviation: number): void {
    this.#fill(target, null);
    const step = (deviation * Math.sqrt(12)) / 32;
    for (let at = 0; at + q5BlockHalves <= target.length; at += q5BlockHalves) {
      target[at] = halfBits(step);
      target[at + 1] = halfBits(-15.5 * step);
    }
  }

  /** Fills with the table's numbers for 16 random bits, or with these bits themselves. */
  #fill(target: Uint16Array, table: Uint16Array | null): void {
    const state = this.#state;
    let [a = 0, b = 0, c = 0, d = 0] = state;
    for (let index = 0; index < target.length; index += 2) {
      const scrambled = Math.imul(b, 5);
      const random = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
      const [low, high] = [random & 0xffff, random >>> 16];
      target[index] = table ? (table[low] ?? 0) : low;
      if (index + 1 < target.length) target[index + 1] = table ? (table[high] ?? 0) : high;
    }
    state.set([a, b, c, d]);
  }

  #tableOf(deviation: number): Uint16Array {
    let table = this.#tables.get(deviation);
    if (!table) {
      const step = (deviation * Math.sqrt(3)) / 32_768;
      table = Uint16Array.from({ length: 65_536 }, (_, index) => halfBits((index - 32_767.5) * step));
      this.#tables.set(deviation, table);
    }
    return table;
  }
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The bits of the nearest half-precision number; infinity beyond its range. */
export function halfBits(value: number): number {
  single[0] = value;
  const bits = singleBits[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const mantissa = bits & 0x7f_ffff;
  if (exponent >= 31) return sign | 0x7c00;
  if (exponent > 0) return (sign | (exponent << 10) | (mantissa >> 13)) + ((mantissa >> 12) & 1);
  if (exponent < -10) return sign;
  const shift = 14 - exponent;
  const subnormal = mantissa | 0x80_0000;
  return sign | ((subnormal >> shift) + ((subnormal >> (shift - 1)) & 1));
}
