import { hash } from 'node:crypto';
import { encode as encodeCbor } from 'cborg';

/** How a server names KV blocks. Each field changes every hash of a chain, so a profile is found by probing, never guessed. */
export interface BlockHashProfile {
  /** vLLM's `--prefix-caching-hash-algo`: canonical CBOR, or its default, Python's pickle protocol 5. */
  readonly algorithm: 'sha256_cbor' | 'sha256';
  /** `vllm-none-hash` (vLLM ≥ 0.28), or the server's `PYTHONHASHSEED`. */
  readonly seed: string;
  /** vLLM ≤ 0.30 hashes the bare salt, ≥ 0.31 the pair `("cache_salt", salt)`. Without a salt the two are the same. */
  readonly saltEncoding: 'bare' | 'tagged';
}

/** The seed of vLLM ≥ 0.28 unless `PYTHONHASHSEED` is set. */
export const defaultHashSeed = 'vllm-none-hash';

const maxTokenId = 0x7fff_ffff;

/** A Python value that occurs in a block's key: bytes, str, int, None, or a tuple of them. */
type KeyPart = Uint8Array | string | number | null | readonly KeyPart[];

/**
 * The hashes vLLM gives the full blocks of a prompt, first block first, as 64 hex digits each.
 *
 * A hash covers the block's ids and, through its parent, everything before it; the salt enters the first block only. Ids after the last
 * full block are not hashed, so fewer than `blockTokens` ids give an empty list. About 10 ms for 32,768 ids.
 *
 * The hash does *not* cover weights, model name and KV type: a store of blocks must separate those by other means.
 *
 * @throws RangeError when an id is not an integer in 0 … 2³¹−1, or `blockTokens` is not in 1 … 8,192.
 */
export function blockHashChain(
  profile: BlockHashProfile,
  ids: readonly number[],
  blockTokens: number,
  salt: string | null,
): string[] {
  const chain = new BlockHashChain(profile, blockTokens, salt);
  chain.append(ids);
  return [...chain.hashes];
}

/** Names of a prompt's KV. */
export interface PromptHashes {
  /** Of its full blocks, first block first. */
  readonly blocks: readonly string[];
  /**
   * Of its tail: the tokens behind the last block that a request over it can reuse, without the last token, which is always computed. It is
   * named like a block, over fewer tokens. Null where there are none, and where there is no block before them.
   */
  readonly tail: string | null;
}

/** As {@link blockHashChain}, with the name of the tail. @throws RangeError as there. */
export function promptHashes(
  profile: BlockHashProfile,
  ids: readonly number[],
  blockTokens: number,
  salt: string | null,
): PromptHashes {
  const chain = new BlockHashChain(profile, blockTokens, salt);
  chain.append(ids.slice(0, -1));
  const tail = chain.hashes.length === 0 ? null : chain.restHash();
  chain.append(ids.slice(-1));
  return { blocks: [...chain.hashes], tail };
}

/** The same chain for a sequence that grows: appending costs only the new blocks. */
export class BlockHashChain {
  readonly #digest: (key: KeyPart) => Buffer;
  readonly #blockTokens: number;
  readonly #hashes: string[] = [];
  #parent: Buffer;
  #firstBlockKeys: KeyPart;
  #rest: number[] = [];

  /** @throws RangeError when `blockTokens` is not in 1 … 8,192. */
  constructor(profile: BlockHashProfile, blockTokens: number, salt: string | null) {
    // Beyond 64 KiB pickle splits its output into several frames, which no real block size comes near.
    if (!Number.isInteger(blockTokens) || blockTokens < 1 || blockTokens > 8192) {
      throw new RangeError(`A block of ${blockTokens} tokens cannot be hashed; 1 to 8192 can.`);
    }
    const encode = profile.algorithm === 'sha256' ? pickle : encodeCbor;
    this.#digest = (key) => hash('sha256', encode(key), 'buffer');
    this.#blockTokens = blockTokens;
    this.#parent = this.#digest(profile.seed);
    this.#firstBlockKeys = salt === null ? null : [profile.saltEncoding === 'tagged' ? ['cache_salt', salt] : salt];
  }

  /** Hashes of the full blocks so far, first block first. */
  get hashes(): readonly string[] {
    return this.#hashes;
  }

  /** The hash of the ids behind the last full block, as of a block; null where there are none. */
  restHash(): string | null {
    if (this.#rest.length === 0) return null;
    return this.#digest([this.#parent, this.#rest, this.#firstBlockKeys]).toString('hex');
  }

  /** @throws RangeError when an id is not an integer in 0 … 2³¹−1; the chain is then as it was. */
  append(ids: readonly number[]): void {
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0 || id > maxTokenId) throw new RangeError(`${id} is not a token id`);
    }
    const pending = this.#rest.length === 0 ? ids : [...this.#rest, ...ids];
    let at = 0;
    for (; at + this.#blockTokens <= pending.length; at += this.#blockTokens) {
      this.#parent = this.#digest([this.#parent, pending.slice(at, at + this.#blockTokens), this.#firstBlockKeys]);
      this.#firstBlockKeys = null;
      this.#hashes.push(this.#parent.toString('hex'));
    }
    this.#rest = pending.slice(at);
  }
}

const memoize = 0x94;

/** The output of CPython ≥ 3.8 for such a value with `pickle.dumps(value, protocol=5)`: one frame, every object memoized. */
function pickle(value: KeyPart): Buffer {
  const body: number[] = [];
  pushPickled(body, value);
  body.push(0x2e);
  const head = Buffer.alloc(11);
  head.set([0x80, 5, 0x95]);
  head.writeBigUInt64LE(BigInt(body.length), 3);
  return Buffer.concat([head, Buffer.from(body)]);
}

function pushPickled(out: number[], value: KeyPart): void {
  if (value === null) out.push(0x4e);
  else if (typeof value === 'number') pushPickledInt(out, value);
  else if (typeof value === 'string') {
    const utf8 = Buffer.from(value);
    if (utf8.length < 256) out.push(0x8c, utf8.length);
    else out.push(0x58, ...littleEndian(utf8.length, 4));
    out.push(...utf8, memoize);
  } else if (value instanceof Uint8Array) {
    if (value.length < 256) out.push(0x43, value.length);
    else out.push(0x42, ...littleEndian(value.length, 4));
    out.push(...value, memoize);
  } else if (value.length <= 3) {
    for (const item of value) pushPickled(out, item);
    out.push(0x84 + value.length, memoize);
  } else {
    out.push(0x28);
    for (const item of value) pushPickled(out, item);
    out.push(0x74, memoize);
  }
}

function pushPickledInt(out: number[], value: number): void {
  if (value < 0x100) out.push(0x4b, value);
  else if (value < 0x1_0000) out.push(0x4d, ...littleEndian(value, 2));
  else out.push(0x4a, ...littleEndian(value, 4));
}

function littleEndian(value: number, length: number): number[] {
  return Array.from({ length }, (_, index) => (value >>> (8 * index)) & 0xff);
}
