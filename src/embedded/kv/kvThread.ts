import { parentPort, workerData } from 'node:worker_threads';
import { BlockBench, blocksAtOnce, type BlockJob, type BlockOutcome } from './blockJob.ts';

/** A message to a thread: a job, and the progress of all threads in it. */
export interface SharedJob {
  readonly job: BlockJob;
  /** The number of the next block that nobody has taken. */
  readonly next: Int32Array;
}

/** A thread's answer: outcomes by the number of the block, or the reason of its failure. */
export type ThreadReply =
  | { readonly outcomes: readonly (readonly [number, BlockOutcome])[] }
  | { readonly failure: string };

/** Takes blocks of the job until none is left. When a block cannot be placed, those behind it are useless. */
const bench = new BlockBench();
const { thread } = workerData as { readonly thread: number };

const answer = (reply: ThreadReply): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread, which has no origin
  parentPort?.postMessage(reply);
};

parentPort?.on('message', ({ job, next }: SharedJob) => {
  const outcomes: [number, BlockOutcome][] = [];
  const step = blocksAtOnce(job);
  try {
    for (;;) {
      const from = Atomics.add(next, 0, step);
      if (from >= job.blocks.length) break;
      const done = bench.run(job, from, Math.min(from + step, job.blocks.length), thread);
      done.forEach((outcome, at) => outcomes.push([from + at, outcome]));
      if (job.task === 'place' && done.some((outcome) => outcome !== 'done')) Atomics.store(next, 0, job.blocks.length);
    }
    answer({ outcomes });
  } catch (error) {
    answer({ failure: error instanceof Error ? error.message : String(error) });
  }
});
