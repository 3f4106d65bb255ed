import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { blockHashChain } from '../../base/kvBlockHash.ts';
import type { BlockCounters, BlockFolder } from './blockFolder.ts';
import { hashProfile } from './kvNamespace.ts';
import { canCut, type StateShape } from './kvLayout.ts';
import {
  bufferSource,
  cutBlocks,
  parseStateFile,
  StateAssembly,
  type ByteSource,
  type StateFile,
} from './stateFile.ts';

export interface DiskCacheOptions {
  readonly shape: StateShape;
  readonly blockTokens: number;
  /** Rows of blocks; null when the shape has none. */
  readonly rows: BlockFolder | null;
  /** Position states, each named like the block whose last token it stands behind; null when the shape has none. */
  readonly positions: BlockFolder | null;
  readonly counters: BlockCounters;
  readonly runFolder: string;
}

/**
 * KV of prompts on disk: the rows of each full block and, for models that need one, position states at the ends of some
 * blocks. A run of blocks becomes a state file that llama.cpp loads; a state file that it saved is cut into blocks.
 */
export class DiskCache {
  readonly blockTokens: number;
  readonly counters: BlockCounters;
  /** Whether a prompt can be continued behind any block, not only where a position state was stored. */
  readonly cutsAnywhere: boolean;
  /** Where llama.cpp saves a state for {@link store}, and finds one that was assembled. */
  readonly statePath: string;
  readonly #shape: StateShape;
  readonly #rows: BlockFolder | null;
  readonly #positions: BlockFolder | null;

  constructor({ shape, blockTokens, rows, positions, counters, runFolder }: DiskCacheOptions) {
    this.blockTokens = blockTokens;
    this.counters = counters;
    this.cutsAnywhere = canCut(shape);
    this.statePath = join(runFolder, 'sequence.state');
    this.#shape = shape;
    this.#rows = rows;
    this.#positions = positions;
  }

  /** Has the code that every request runs compiled before the first one comes. */
  warmUp(): void {
    const ids = Array.from({ length: warmUpTokens }, (_, index) => index);
    this.hashes(ids, null);
    parseStateFile(bufferSource(new StateAssembly({ keys: [], values: [] }, ids).bytes), null);
  }

  /** Names of the full blocks of a prompt. */
  hashes(ids: readonly number[], salt: string | null): string[] {
    return blockHashChain(hashProfile, ids, this.blockTokens, salt);
  }

  /** Whether files that can be loaded end with this block, as far as names and sizes tell. */
  endsWith(hash: string): boolean {
    return (this.#positions ?? this.#rows)?.has(hash) ?? false;
  }

  /** The most blocks from the first on, at most `maxBlocks`, that seem to be on disk and can be continued behind. */
  reach(hashes: readonly string[], maxBlocks: number): number {
    let blocks = maxBlocks;
    if (this.#rows) {
      blocks = 0;
      while (blocks < maxBlocks && this.#rows.has(hashes[blocks] ?? '')) blocks++;
    }
    while (blocks > 0 && this.#positions && !this.#positions.has(hashes[blocks - 1] ?? '')) blocks--;
    return blocks;
  }

  /**
   * Writes the state of the longest run of good blocks from the first on, at most `maxBlocks`, that can be continued behind.
   *
   * @returns the number of blocks; 0, and no file, when there is no such run.
   * @throws Error when the state cannot be written, as on a full disk.
   */
  assemble(ids: readonly number[], hashes: readonly string[], maxBlocks: number): number {
    for (let expected = this.reach(hashes, maxBlocks); expected > 0;) {
      const positionState = this.#positions ? this.#positions.read(hashes[expected - 1] ?? '') : new Uint8Array();
      if (!positionState) {
        expected = this.reach(hashes, expected - 1);
        continue;
      }
      const state = new StateAssembly(this.#shape.rows, ids.slice(0, expected * this.blockTokens), positionState);
      const good = this.#fill(state, hashes, expected);
      if (good === expected) {
        // Nothing that was not checked reaches llama.cpp, whatever made it.
        parseStateFile(bufferSource(state.bytes), this.#shape);
        this.#write(state.bytes);
        return expected;
      }
      expected = this.reach(hashes, good);
    }
    return 0;
  }

  /** Whether anything of these blocks has no file: rows, or the position state behind the last. */
  isMissingAny(hashes: readonly string[]): boolean {
    const last = hashes.at(-1);
    if (last === undefined) return false;
    return this.missing(hashes).length > 0 || this.#positions?.has(last) === false;
  }

  /** Indices of the blocks whose rows have no file. */
  missing(hashes: readonly string[]): number[] {
    const rows = this.#rows;
    return rows ? [...hashes.keys()].filter((index) => !rows.has(hashes[index] ?? '')) : [];
  }

  /** Prepares {@link statePath} for llama.cpp, which makes no folders. */
  ensureStateFolder(): void {
    mkdirSync(dirname(this.statePath), { recursive: true, mode: 0o700 });
  }

  /**
   * Cuts the missing rows out of the saved state and writes them, and the position state behind the last block.
   *
   * @param ids begins with the tokens of these blocks; the saved state holds all of them, and ends with them when the model
   *   has position states.
   * @throws StateFormatError, Error when the state is not that of these ids; nothing is written then.
   */
  store(ids: readonly number[], hashes: readonly string[]): void {
    const missing = this.missing(hashes);
    const file = openSync(this.statePath, 'r');
    try {
      const source = fileSource(file);
      const state = parseStateFile(source, this.#shape);
      const end = hashes.length * this.blockTokens;
      const isLonger = this.#positions ? state.ids.length !== end : state.ids.length < end;
      if (isLonger || state.ids.some((id, index) => index < end && id !== ids[index])) {
        throw new Error("llama.cpp's state is not that of the prompt.");
      }
      this.#storeRows(source, state, hashes, missing);
      const last = hashes.at(-1);
      // Where rows were computed again, a position state that lies there may be as wrong as they were.
      if (this.#positions && last !== undefined && (missing.length > 0 || !this.#positions.has(last))) {
        this.#positions.write(last, source.read(state.positionOffset, source.sizeBytes - state.positionOffset));
      }
    } finally {
      closeSync(file);
    }
  }

  /** Deletes blocks that llama.cpp could not take. */
  discard(hashes: readonly string[]): void {
    const last = hashes.at(-1);
    if (this.#positions && last !== undefined) this.#positions.remove(last);
    for (const hash of hashes) this.#rows?.remove(hash);
    rmSync(this.statePath, { force: true });
  }

  #storeRows(source: ByteSource, state: StateFile, hashes: readonly string[], missing: readonly number[]): void {
    const first = missing[0];
    const last = missing.at(-1);
    if (first === undefined || last === undefined) return;
    const payloads = cutBlocks(source, state, first, last - first + 1, this.blockTokens);
    for (const index of missing) {
      const payload = payloads[index - first];
      if (payload) this.#rows?.write(hashes[index] ?? '', payload);
    }
  }

  #fill(state: StateAssembly, hashes: readonly string[], blocks: number): number {
    if (!this.#rows) return blocks;
    for (let index = 0; index < blocks; index++) {
      const payload = this.#rows.read(hashes[index] ?? '');
      if (!payload) return index;
      state.place(index * this.blockTokens, this.blockTokens, payload);
    }
    return blocks;
  }

  #write(bytes: Buffer): void {
    this.ensureStateFolder();
    // Written over in place: its pages are already there, which is faster than a new file.
    const file = openSync(this.statePath, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      for (let at = 0; at < bytes.length;) {
        at += writeSync(file, bytes, at, Math.min(bytes.length - at, maxWriteBytes), at);
      }
      ftruncateSync(file, bytes.length);
    } finally {
      closeSync(file);
    }
  }
}

const warmUpTokens = 8192;

/** Less than what one write call can take on every system. */
const maxWriteBytes = 1 << 30;

function fileSource(file: number): ByteSource {
  return {
    sizeBytes: fstatSync(file).size,
    read: (offset, length) => {
      const bytes = Buffer.allocUnsafe(length);
      let at = 0;
      while (at < length) {
        const got = readSync(file, bytes, at, Math.min(length - at, maxWriteBytes), offset + at);
        if (got === 0) break;
        at += got;
      }
      return bytes.subarray(0, at);
    },
  };
}
