import { closeSync, openSync } from 'node:fs';
import { headBytes, openBody, type OpenedBody } from '../files/blockFile.ts';
import { pieceFile } from '../files/blockFolder.ts';
import {
  groupsOf,
  jobFileBytes,
  largestOf,
  partsOf,
  type BlockAt,
  type BlockJob,
  type BlockOutcome,
} from './blockJob.ts';
import { readAt, writeAllOf } from '../files/wholeCalls.ts';
import { isMissing } from '../files/writePiece.ts';

/** Reads blocks into a state file, in memory that is used again for every job. */
export class BlockPlacer {
  #memory = Buffer.alloc(0);

  /**
   * Does the blocks `from` to `to` of a job, neighbours together, part by part, each part while it is still in the processor's caches. The
   * blocks behind one that is not good are not reached. What it wrote of a block that turns out to be damaged stays in the state: the
   * caller uses nothing but blocks that are done.
   */
  run(job: BlockJob, from: number, to: number): BlockOutcome[] {
    const outcomes: BlockOutcome[] = [];
    for (const group of groupsOf(job.blocks.slice(from, to), to - from)) {
      outcomes.push(...this.#place(job, group));
      if (outcomes.at(-1) !== 'done') break;
    }
    return [...outcomes, ...Array.from({ length: to - from - outcomes.length }, () => 'not-reached' as const)];
  }

  /** Outcomes of leading blocks; only the last one may be other than done. */
  #place(job: BlockJob, group: readonly BlockAt[]): BlockOutcome[] {
    const parts = partsOf(job);
    const room = Math.max(headBytes, largestOf(parts));
    if (this.#memory.length < room * group.length) this.#memory = Buffer.allocUnsafeSlow(room * group.length);
    const bufferOf = (at: number, bytes: number): Buffer => this.#memory.subarray(at * room, at * room + bytes);
    const opened: OpenBlock[] = [];
    let bad: BlockOutcome | null = null;
    const isBadAt = (at: number, outcome: BlockOutcome): void => {
      bad = outcome;
      for (const { file } of opened.splice(at)) closeSync(file);
    };
    try {
      for (const [at, { hash }] of group.entries()) {
        const block = openBlock(job, hash, bufferOf(at, headBytes));
        if (typeof block === 'string') {
          isBadAt(at, block);
          break;
        }
        opened.push(block);
      }
      let offset = headBytes;
      for (const { runs, bytes } of parts) {
        const pieces: Buffer[] = [];
        for (const [at, { file, body }] of [...opened].entries()) {
          const read = bufferOf(at, bytes);
          if (!readAt(file, read, offset)) {
            isBadAt(at, 'damaged');
            break;
          }
          pieces.push(body.take(read));
        }
        offset += bytes;
        let inPart = 0;
        for (const run of runs) {
          const length = run.rowBytes * job.blockTokens;
          const first = run.offset + (group[0]?.index ?? 0) * length;
          const [start, end] = [inPart, inPart + length];
          writeAllOf(
            job.stateFile,
            pieces.map((piece) => piece.subarray(start, end)),
            first,
          );
          inPart = end;
        }
      }
      // One byte more, so that a file that grew is noticed.
      const last = bufferOf(0, 1);
      const damaged = opened.findIndex(({ file, body }) => readAt(file, last, jobFileBytes(job)) || !body.isWhole());
      if (damaged >= 0) isBadAt(damaged, 'damaged');
      return [...opened.map(() => 'done' as const), ...(bad === null ? [] : [bad])];
    } finally {
      for (const { file } of opened) closeSync(file);
    }
  }
}

interface OpenBlock {
  readonly file: number;
  readonly body: OpenedBody;
}

function openBlock({ folder, seal }: BlockJob, hash: string, head: Buffer): OpenBlock | 'missing' | 'damaged' {
  let file: number;
  try {
    file = openSync(pieceFile(folder, hash, 'rows'), 'r');
  } catch (error) {
    return isMissing(error) ? 'missing' : 'damaged';
  }
  const body = readAt(file, head, 0) ? openBody(hash, head, 'rows', seal) : null;
  if (body) return { file, body };
  closeSync(file);
  return 'damaged';
}
