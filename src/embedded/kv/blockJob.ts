import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { blockFileBytes, decodeBlock, encodeBlock, headBytes, openBody, type BlockSeal } from './blockFile.ts';
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
  /** Most bytes of blocks that are read or written together. More does not fit the processor's caches, and is slower. */
  readonly stripBytes: number;
  /** A larger block is read and placed in parts of about so many bytes, for the same reason. */
  readonly partBytes: number;
}

/** The outcome of one block. A string is the reason of a failed write. */
export type BlockOutcome = 'done' | 'missing' | 'damaged' | 'not-reached' | { readonly failure: string };

const tokenBytesOf = (runs: readonly RowRun[]): number => runs.reduce((sum, { rowBytes }) => sum + rowBytes, 0);

/** Number of blocks that one thread takes at a time. */
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
      const outcome = strip
        ? this.#readInto(strip, job, hash, blocks.length, outcomes.length)
        : this.#pass(job, hash, index);
      outcomes.push(outcome);
      if (outcome !== 'done') break;
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

  #readInto(strip: Buffer, job: BlockJob, hash: string, stripBlocks: number, block: number): BlockOutcome {
    const read = this.#read(job, hash);
    if (typeof read === 'string') return read;
    eachRun(job, stripBlocks, block, (_, from, at, length) => read.copy(strip, at, from, from + length));
    return 'done';
  }

  /**
   * Places a large block part by part, each while it is still in the processor's caches. What it wrote of a block that turns out to be
   * damaged stays there: the caller uses nothing but blocks that are done.
   */
  #pass(job: BlockJob, hash: string, index: number): BlockOutcome {
    const file = openBlock(job, hash);
    if (typeof file === 'string') return file;
    try {
      const head = this.#file.subarray(0, headBytes);
      const body = readAt(file, head, 0) ? openBody(hash, head, 'rows', job.seal) : null;
      if (!body) return 'damaged';
      let at = headBytes;
      for (const { runs, bytes } of partsOf(job)) {
        const read = this.#file.subarray(0, bytes);
        if (!readAt(file, read, at)) return 'damaged';
        const part = body.take(read);
        at += bytes;
        let from = 0;
        for (const { offset, rowBytes } of runs) {
          const length = rowBytes * job.blockTokens;
          writeAll(job.stateFile, part.subarray(from, from + length), offset + index * length);
          from += length;
        }
      }
      const hasGrown = readAt(file, this.#file.subarray(0, 1), at);
      return !hasGrown && body.isWhole() ? 'done' : 'damaged';
    } finally {
      closeSync(file);
    }
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
    const file = openBlock(job, hash);
    if (typeof file === 'string') return file;
    try {
      const whole = this.#file.subarray(0, -1);
      if (!readAt(file, whole, 0) || readAt(file, this.#file.subarray(-1), whole.length)) return 'damaged';
      return decodeBlock(hash, whole, 'rows', job.seal) ?? 'damaged';
    } finally {
      closeSync(file);
    }
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

/** Consecutive runs whose parts of one block are together about as large as pays to read at once. */
function partsOf({
  runs,
  blockTokens,
  partBytes,
}: BlockJob): { readonly runs: readonly RowRun[]; readonly bytes: number }[] {
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

function openBlock(job: BlockJob, hash: string): number | 'missing' | 'damaged' {
  try {
    return openSync(pieceFile(job.folder, hash, 'rows'), 'r');
  } catch (error) {
    return isMissing(error) ? 'missing' : 'damaged';
  }
}

/** Whether all these bytes could be read. */
function readAt(file: number, bytes: Buffer, offset: number): boolean {
  try {
    for (let at = 0; at < bytes.length;) {
      const got = readSync(file, bytes, at, bytes.length - at, offset + at);
      if (got === 0) return false;
      at += got;
    }
    return true;
  } catch {
    return false;
  }
}

function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
}

/** @throws Error when the file is shorter. */
function readAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) {
    const got = readSync(file, bytes, at, bytes.length - at, offset + at);
    if (got === 0) throw new Error("llama.cpp's state ends before its rows.");
    at += got;
  }
}
