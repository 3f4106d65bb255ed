import { blockFileBytes, type BlockSeal } from '../files/blockFile.ts';

/** One run of rows in a state file: where the first token's row lies, and how long each is. */
export interface RowRun {
  readonly offset: number;
  readonly rowBytes: number;
}

/** Work on the rows of many blocks, which several threads share. */
export interface BlockJob {
  /**
   * `place` reads block files into a state file; `cut` writes blocks of a state file as block files, and `sum` their SHA-256 into them.
   */
  readonly task: 'place' | 'cut' | 'sum';
  readonly folder: string;
  readonly seal: BlockSeal;
  readonly blocks: readonly BlockAt[];
  readonly blockTokens: number;
  readonly runs: readonly RowRun[];
  /** The state file, open for reading and writing. */
  readonly stateFile: number;
  /** Where a file is written before it gets its name; each thread adds numbers of its own. */
  readonly temporary: string;
  /** Most bytes of blocks that are read or written together. More does not fit the processor's caches, and is slower. */
  readonly stripBytes: number;
  /** A larger block is read and written in parts of about so many bytes, for the same reason. */
  readonly partBytes: number;
}

export interface BlockAt {
  readonly hash: string;
  /** Of its first token, in blocks. */
  readonly index: number;
}

/** The outcome of one block. An object has the reason of a failed write. */
export type BlockOutcome = 'done' | 'missing' | 'damaged' | 'not-reached' | { readonly failure: string };

/** Consecutive runs whose bytes of one block pass together. */
export interface BlockPart {
  readonly runs: readonly RowRun[];
  /** Of one block. */
  readonly bytes: number;
}

/** Consecutive runs whose parts of one block are together about as large as pays to read at once. */
export function partsOf({ runs, blockTokens, partBytes }: BlockJob): readonly BlockPart[] {
  const parts: { runs: RowRun[]; bytes: number }[] = [];
  for (const run of runs) {
    const bytes = run.rowBytes * blockTokens;
    const last = parts.at(-1);
    if (last && last.bytes + bytes <= partBytes) {
      last.runs.push(run);
      last.bytes += bytes;
    } else parts.push({ runs: [run], bytes });
  }
  return parts;
}

export const largestOf = (parts: readonly BlockPart[]): number => Math.max(0, ...parts.map(({ bytes }) => bytes));

/** Number of blocks of which a part passes together: neighbours lie side by side in each run, so that one call moves all of them. */
export const blocksAtOnce = (job: BlockJob): number =>
  Math.min(mostAtOnce, Math.max(1, Math.floor(job.stripBytes / Math.max(1, largestOf(partsOf(job))))));

/** Of files that are open together, and of buffers in one call. */
const mostAtOnce = 64;

/** Blocks in groups of neighbours. */
export function groupsOf(blocks: readonly BlockAt[], most: number): BlockAt[][] {
  const groups: BlockAt[][] = [];
  for (const block of blocks) {
    const group = groups.at(-1);
    if (group && group.length < most && group.at(-1)?.index === block.index - 1) group.push(block);
    else groups.push([block]);
  }
  return groups;
}

/** Bytes of a block's file. */
export const jobFileBytes = ({ runs, blockTokens }: BlockJob): number =>
  blockFileBytes(runs.reduce((sum, { rowBytes }) => sum + rowBytes, 0) * blockTokens);
