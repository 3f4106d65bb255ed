import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { blockFileBytes, decodeBlock, encodeBlock, type BlockSeal } from './blockFile.ts';
import { pieceFile } from './blockFolder.ts';
import { isMissing, messageOf, writePiece } from './writePiece.ts';

/** One run of rows in a state file: where the first token's row lies, and how long each is. */
export interface RowRun {
  readonly offset: number;
  readonly rowBytes: number;
}

/** Work on the rows of many blocks, which several threads share. */
export interface BlockJob {
  /** `place` reads block files into a state file; `cut` writes blocks of a state file as block files. */
  readonly task: 'place' | 'cut';
  readonly folder: string;
  readonly seal: BlockSeal;
  readonly blocks: readonly { readonly hash: string; /** Of its first token, in blocks. */ readonly index: number }[];
  readonly blockTokens: number;
  readonly runs: readonly RowRun[];
  /** The state file, open for reading and writing. */
  readonly stateFile: number;
  /** Where a file is written before it gets its name; each thread adds its number. */
  readonly temporary: string;
  /** Blocks of at most so many bytes together are read or written at once, because that pays while they fit the processor's caches. */
  readonly stripBytes: number;
}

/** What became of one block. A string is why it could not be written. */
export type BlockOutcome = 'done' | 'missing' | 'damaged' | 'not-reached' | { readonly failure: string };

const tokenBytesOf = (runs: readonly RowRun[]): number => runs.reduce((sum, { rowBytes }) => sum + rowBytes, 0);

/** How many blocks one thread takes at a time. */
export const blocksAtOnce = ({ runs, blockTokens, stripBytes }: BlockJob): number =>
  Math.max(1, Math.floor(stripBytes / (tokenBytesOf(runs) * blockTokens)));

/** The memory that one thread works in; used again for every job. */
export class BlockBench {
  #file = Buffer.alloc(0);
  #strip = Buffer.alloc(0);

  /**
   * Does the blocks `from` to `to` of a job.
   *
   * @param thread tells the passing files of threads apart.
   */
  run(job: BlockJob, from: number, to: number, thread: number): BlockOutcome[] {
    const payloadBytes = tokenBytesOf(job.runs) * job.blockTokens;
    // One byte more, so that a file that grew is noticed.
    const needed = blockFileBytes(payloadBytes) + 1;
    if (this.#file.length !== needed) this.#file = Buffer.allocUnsafeSlow(needed);
    const blocks = job.blocks.slice(from, to);
    const strip = blocks.length > 1 && areInRow(blocks) ? this.#stripOf(payloadBytes * blocks.length) : null;
    return job.task === 'place' ? this.#place(job, blocks, strip) : this.#cut(job, blocks, strip, thread);
  }

  #place(job: BlockJob, blocks: BlockJob['blocks'], strip: Buffer | null): BlockOutcome[] {
    const outcomes: BlockOutcome[] = [];
    for (const { hash, index } of blocks) {
      const read = this.#read(job, hash);
      if (typeof read === 'string') {
        outcomes.push(read);
        break;
      }
      if (strip)
        eachRun(job, blocks.length, outcomes.length, (_, from, at, length) =>
          read.copy(strip, at, from, from + length),
        );
      else {
        eachRun(job, 1, 0, (run, from, __, length) =>
          writeAll(job.stateFile, read.subarray(from, from + length), run.offset + index * length),
        );
      }
      outcomes.push('done');
    }
    const done = outcomes.filter((outcome) => outcome === 'done').length;
    if (strip && blocks[0] && done > 0) {
      const first = blocks[0].index;
      eachRun(job, blocks.length, 0, (run, _, at, length) =>
        writeAll(job.stateFile, strip.subarray(at, at + done * length), run.offset + first * length),
      );
    }
    return [...outcomes, ...Array.from({ length: blocks.length - outcomes.length }, () => 'not-reached' as const)];
  }

  #cut(job: BlockJob, blocks: BlockJob['blocks'], strip: Buffer | null, thread: number): BlockOutcome[] {
    const payload = this.#file.subarray(0, this.#file.length - 1 - blockFileBytes(0));
    if (strip && blocks[0]) {
      const first = blocks[0].index;
      eachRun(job, blocks.length, 0, (run, _, at, length) =>
        readAll(job.stateFile, strip.subarray(at, at + blocks.length * length), run.offset + first * length),
      );
    }
    return blocks.map(({ hash, index }, at): BlockOutcome => {
      if (strip) eachRun(job, blocks.length, at, (_, to, from, length) => strip.copy(payload, to, from, from + length));
      else {
        eachRun(job, 1, 0, (run, to, _, length) =>
          readAll(job.stateFile, payload.subarray(to, to + length), run.offset + index * length),
        );
      }
      try {
        const encoded = encodeBlock(hash, payload, 'rows', job.seal);
        writePiece(pieceFile(job.folder, hash, 'rows'), `${job.temporary}${thread}`, encoded);
        return 'done';
      } catch (error) {
        return { failure: messageOf(error) };
      }
    });
  }

  #read(job: BlockJob, hash: string): Buffer | 'missing' | 'damaged' {
    let length = 0;
    try {
      const file = openSync(pieceFile(job.folder, hash, 'rows'), 'r');
      try {
        length = readSync(file, this.#file, 0, this.#file.length, 0);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      return isMissing(error) ? 'missing' : 'damaged';
    }
    if (length !== this.#file.length - 1) return 'damaged';
    return decodeBlock(hash, this.#file.subarray(0, length), 'rows', job.seal) ?? 'damaged';
  }

  #stripOf(bytes: number): Buffer {
    if (this.#strip.length < bytes) this.#strip = Buffer.allocUnsafeSlow(bytes);
    return this.#strip;
  }
}

/**
 * Names each run's part of one block: where it lies in the block's payload, and where in a strip of so many blocks, whose runs lie one
 * after the other.
 */
function eachRun(
  { runs, blockTokens }: BlockJob,
  stripBlocks: number,
  block: number,
  visit: (run: RowRun, inPayload: number, inStrip: number, length: number) => void,
): void {
  let inPayload = 0;
  for (const run of runs) {
    const length = run.rowBytes * blockTokens;
    visit(run, inPayload, inPayload * stripBlocks + block * length, length);
    inPayload += length;
  }
}

const areInRow = (blocks: BlockJob['blocks']): boolean =>
  blocks.every(({ index }, at) => index === (blocks[0]?.index ?? 0) + at);

function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
}

/** @throws Error when the file ends before. */
function readAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) {
    const got = readSync(file, bytes, at, bytes.length - at, offset + at);
    if (got === 0) throw new Error("llama.cpp's state ends before its rows.");
    at += got;
  }
}
