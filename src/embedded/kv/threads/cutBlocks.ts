import { fstatSync } from 'node:fs';
import { BlockWriter } from '../files/blockWriter.ts';
import { blocksAtOnce, groupsOf, largestOf, partsOf, type BlockJob, type BlockOutcome } from './blockJob.ts';
import { stateStatus, statusAt } from './jobProgress.ts';
import { readAllOf } from '../files/wholeCalls.ts';

/** Writes blocks of a state file as block files, in memory that is used again for every job. */
export class BlockCutter {
  #memory = Buffer.alloc(0);

  /**
   * Does the blocks `from` to `to` of a job. Where llama.cpp still writes the state, it follows: each part is cut as soon as it is there,
   * and the files get their names when the whole state was found good.
   *
   * @param thread tells the passing files of threads apart.
   * @param mostOpen files that it may have open together; those behind them begin when these are done.
   */
  run(
    job: BlockJob,
    from: number,
    to: number,
    progress: Int32Array,
    thread: number,
    mostOpen = Number.POSITIVE_INFINITY,
  ): BlockOutcome[] {
    const outcomes: BlockOutcome[] = [];
    for (let at = from; at < to;) {
      const end = Math.min(at + mostOpen, to);
      const some = { ...job, blocks: job.blocks.slice(at, end) };
      outcomes.push(...this.#cut(some, new GrowingState(job.stateFile, progress), thread));
      at = end;
    }
    return outcomes;
  }

  #cut(job: BlockJob, state: GrowingState, thread: number): BlockOutcome[] {
    const { blocks, blockTokens, folder, seal, stateFile, temporary } = job;
    const writers = new Map(
      blocks.map(({ hash, index }, at) => [index, new BlockWriter(folder, hash, seal, `${temporary}${thread}-${at}`)]),
    );
    let isGood = false;
    try {
      const parts = partsOf(job);
      const groups = groupsOf(blocks, blocksAtOnce(job));
      const room = largestOf(parts) * Math.max(0, ...groups.map(({ length }) => length));
      if (this.#memory.length < room) this.#memory = Buffer.allocUnsafeSlow(room);
      for (const { runs, bytes } of parts) {
        for (const group of groups) {
          const first = group[0]?.index ?? 0;
          let inPart = 0;
          for (const { offset, rowBytes } of runs) {
            const length = rowBytes * blockTokens;
            if (!state.has(offset + (first + group.length) * length)) return blocks.map(() => 'not-reached');
            const pieces = group.map((_, at) =>
              this.#memory.subarray(at * bytes + inPart, at * bytes + inPart + length),
            );
            readAllOf(stateFile, pieces, offset + first * length);
            inPart += length;
          }
          group.forEach(({ index }, at) =>
            writers.get(index)?.add(this.#memory.subarray(at * bytes, (at + 1) * bytes), parts.length === 1),
          );
        }
      }
      isGood = state.isGood();
      return blocks.map(({ index }) => (isGood && writers.get(index)?.finish()) || 'not-reached');
    } finally {
      if (!isGood) for (const writer of writers.values()) writer.discard();
    }
  }
}

const lookAgainMs = 1;

/** A state file that llama.cpp may still be writing, from its beginning to its end. */
class GrowingState {
  readonly #file: number;
  readonly #progress: Int32Array;
  #knownBytes = 0;

  constructor(file: number, progress: Int32Array) {
    this.#file = file;
    this.#progress = progress;
  }

  /** Waits for so many bytes. False when the state is of no use. When it is complete, a read finds out whether it ends too early. */
  has(bytes: number): boolean {
    while (this.#knownBytes < bytes) {
      if (this.#status !== stateStatus.grows) return this.isGood();
      this.#knownBytes = fstatSync(this.#file).size;
      if (this.#knownBytes < bytes) Atomics.wait(this.#progress, statusAt, stateStatus.grows, lookAgainMs);
    }
    return true;
  }

  /** Waits for the judgement over the whole state. */
  isGood(): boolean {
    while (this.#status === stateStatus.grows) Atomics.wait(this.#progress, statusAt, stateStatus.grows);
    return this.#status === stateStatus.good;
  }

  get #status(): number {
    return Atomics.load(this.#progress, statusAt);
  }
}
