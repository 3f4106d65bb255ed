import { join } from 'node:path';
import type { BlockJob, RowRun } from '../threads/blockJob.ts';
import type { BlockCounters, BlockFolder } from '../files/blockFolder.ts';
import { canCut, kvBytesPerToken, type StateShape } from '../state/kvLayout.ts';
import type { KvThreads } from '../threads/kvThreads.ts';
import { LaterSums } from '../threads/laterSums.ts';
import type { PassingState } from '../state/passingState.ts';

export interface DiskTierOptions {
  readonly shape: StateShape;
  readonly blockTokens: number;
  /** Rows of blocks; null when the shape has none. */
  readonly rows: BlockFolder | null;
  /** Position states, each named like the block whose last token it stands behind; null when the shape has none. */
  readonly positions: BlockFolder | null;
  readonly counters: BlockCounters;
  readonly runFolder: string;
  /** At least one. With three, a large state can pass in parts. */
  readonly passing: readonly PassingState[];
  readonly threads: KvThreads;
  /** Bytes of each part of a state that passes in parts. Default: 16 MiB, which stays in the processor's caches. */
  readonly partStateBytes?: number;
}

/** The context that a state is put together for, or that one is stored of. */
export interface Named {
  readonly ids: readonly number[];
  /** Names of its full blocks. */
  readonly hashes: readonly string[];
  /** Name of its tail, as `PromptHashes` has it; null where it is neither loaded nor stored. */
  readonly tail: string | null;
}

/** What is on disk, as far as names and sizes tell, and what loads and stores of it share. */
export class DiskTier {
  readonly shape: StateShape;
  readonly blockTokens: number;
  readonly rows: BlockFolder | null;
  readonly positions: BlockFolder | null;
  readonly counters: BlockCounters;
  readonly runFolder: string;
  readonly passing: readonly PassingState[];
  readonly threads: KvThreads;
  readonly sums: LaterSums;
  /** Blocks of a part. */
  readonly partBlocks: number;
  /** Whether a prompt can be continued behind any block, not only where a position state was stored. */
  readonly cutsAnywhere: boolean;

  constructor(options: DiskTierOptions) {
    const { shape, blockTokens, rows, positions, counters, runFolder, passing, threads } = options;
    const { partStateBytes = 16 << 20 } = options;
    this.shape = shape;
    this.blockTokens = blockTokens;
    this.rows = rows;
    this.positions = positions;
    this.counters = counters;
    this.runFolder = runFolder;
    this.passing = passing;
    this.threads = threads;
    this.sums = new LaterSums(threads, counters);
    this.partBlocks = Math.max(1, Math.floor(partStateBytes / Math.max(1, this.bytesOf(blockTokens))));
    this.cutsAnywhere = canCut(shape);
  }

  /** Whether the tail of a prompt of these ids seems to be on disk. */
  hasTail(ids: readonly number[], tail: string): boolean {
    return this.rows?.has(tail, this.bytesOf(this.tailTokens(ids))) ?? false;
  }

  /** Whether files that can be loaded end with this block, as far as names and sizes tell. */
  endsWith(hash: string): boolean {
    return (this.positions ?? this.rows)?.has(hash) ?? false;
  }

  /** Number of leading blocks, at most `maxBlocks`, that seem to be on disk and behind which a prompt can continue. */
  reach(hashes: readonly string[], maxBlocks: number): number {
    let blocks = maxBlocks;
    if (this.rows) {
      blocks = 0;
      while (blocks < maxBlocks && this.rows.has(hashes[blocks] ?? '')) blocks++;
    }
    while (blocks > 0 && this.positions && !this.positions.has(hashes[blocks - 1] ?? '')) blocks--;
    return blocks;
  }

  /** Whether a file of these blocks is missing: rows, or the position state behind the last block. */
  isMissingAny(hashes: readonly string[]): boolean {
    const last = hashes.at(-1);
    if (last === undefined) return false;
    return this.missing(hashes).length > 0 || this.positions?.has(last) === false;
  }

  /** Indices of the blocks whose rows have no file. */
  missing(hashes: readonly string[]): number[] {
    const rows = this.rows;
    return rows ? [...hashes.keys()].filter((index) => !rows.has(hashes[index] ?? '')) : [];
  }

  /** Frees the room of the state that was assembled or saved last. Only the next state waits for it. */
  async release(): Promise<void> {
    await Promise.all(this.passing.map((lane) => lane.release()));
  }

  /** The same for a caller that goes on. The next state meets the same failure and reports it. */
  releaseSoon(): void {
    this.release().catch(() => undefined);
  }

  /** One of the states that pass, in turns. */
  lane(part: number): PassingState {
    const lane = this.passing[part % this.passing.length];
    if (!lane) throw new Error('There is no room for a state to pass.');
    return lane;
  }

  /** Tokens of a prompt's tail: those behind the last block that can be reused, without the last token. */
  tailTokens(ids: readonly number[]): number {
    return Math.max(0, ids.length - 1) % this.blockTokens;
  }

  /** Of the rows of so many tokens. */
  bytesOf(tokens: number): number {
    return this.shape.rows ? kvBytesPerToken(this.shape.rows) * tokens : 0;
  }

  job(
    task: BlockJob['task'],
    { path, seal }: BlockFolder,
    runs: readonly RowRun[],
    stateFile: number,
    blocks: BlockJob['blocks'],
  ): BlockJob {
    const temporary = join(this.runFolder, 'block.tmp');
    const { blockTokens } = this;
    return { task, folder: path, seal, blocks, blockTokens, runs, stateFile, temporary, ...smallPieces };
  }
}

/** What is read, checked and written together stays in the caches of one processor. */
export const smallPieces = { stripBytes: 1 << 20, partBytes: 128 << 10 } as const;
/** Blocks are written whole: the page cache then has few large pages for a file in place of many small ones, which costs a third less. */
export const largePieces = { stripBytes: 8 << 20, partBytes: 1 << 20 } as const;
