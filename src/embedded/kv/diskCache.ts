import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { blockHashChain } from '../../base/kvBlockHash.ts';
import type { BlockFolder } from './blockFolder.ts';
import { hashProfile } from './kvNamespace.ts';
import type { KvLayout } from './kvLayout.ts';
import { bufferSource, cutBlocks, parseStateFile, StateAssembly, type ByteSource } from './stateFile.ts';

/**
 * KV blocks of prompts on disk. A run of blocks becomes a state file that llama.cpp loads; a state file that it saved is
 * cut into blocks.
 */
export class DiskCache {
  readonly folder: BlockFolder;
  readonly blockTokens: number;
  readonly #layout: KvLayout;
  readonly #statePath: string;

  constructor(folder: BlockFolder, layout: KvLayout, blockTokens: number, runFolder: string) {
    this.folder = folder;
    this.blockTokens = blockTokens;
    this.#layout = layout;
    this.#statePath = join(runFolder, 'sequence.state');
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

  /**
   * Writes the state of the longest run of good blocks from the first on, at most `maxBlocks`.
   *
   * @returns the number of blocks and the file to load; 0 blocks when the first is missing or damaged, and no file then.
   * @throws Error when the state can't be written, as on a full disk.
   */
  assemble(ids: readonly number[], hashes: readonly string[], maxBlocks: number): { blocks: number; path: string } {
    let expected = 0;
    while (expected < maxBlocks && this.folder.has(hashes[expected] ?? '')) expected++;
    while (expected > 0) {
      const state = new StateAssembly(this.#layout, ids.slice(0, expected * this.blockTokens));
      const good = this.#fill(state, hashes, expected);
      if (good === expected) {
        // Nothing that was not checked reaches llama.cpp, whatever made it.
        parseStateFile(bufferSource(state.bytes), this.#layout);
        this.#write(state.bytes);
        return { blocks: expected, path: this.#statePath };
      }
      expected = good;
    }
    return { blocks: 0, path: this.#statePath };
  }

  /** Indices of the full blocks that have no file. */
  missing(hashes: readonly string[]): number[] {
    return [...hashes.keys()].filter((index) => !this.folder.has(hashes[index] ?? ''));
  }

  /** Where a saved state is to be put for {@link store}. */
  get statePath(): string {
    return this.#statePath;
  }

  /**
   * Cuts the missing blocks out of the saved state and writes them.
   *
   * @throws StateFormatError, Error when the state is not that of these ids; nothing is written then.
   */
  store(ids: readonly number[], hashes: readonly string[], missing: readonly number[]): void {
    const first = missing[0];
    const last = missing.at(-1);
    if (first === undefined || last === undefined) return;
    const file = openSync(this.#statePath, 'r');
    try {
      const source = fileSource(file);
      const state = parseStateFile(source, this.#layout);
      const end = (last + 1) * this.blockTokens;
      if (state.ids.length < end || state.ids.some((id, index) => index < end && id !== ids[index])) {
        throw new Error("llama.cpp's state is not that of the prompt.");
      }
      const payloads = cutBlocks(source, state, first, last - first + 1, this.blockTokens);
      for (const index of missing) {
        const payload = payloads[index - first];
        if (payload) this.folder.write(hashes[index] ?? '', payload);
      }
    } finally {
      closeSync(file);
    }
  }

  /** Deletes blocks that llama.cpp could not take. */
  discard(hashes: readonly string[]): void {
    for (const hash of hashes) this.folder.remove(hash);
    rmSync(this.#statePath, { force: true });
  }

  #fill(state: StateAssembly, hashes: readonly string[], blocks: number): number {
    for (let index = 0; index < blocks; index++) {
      const payload = this.folder.read(hashes[index] ?? '');
      if (!payload) return index;
      state.place(index * this.blockTokens, this.blockTokens, payload);
    }
    return blocks;
  }

  #write(bytes: Buffer): void {
    // Written over in place: its pages are already there, which is faster than a new file.
    const file = openSync(this.#statePath, constants.O_RDWR | constants.O_CREAT, 0o600);
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
