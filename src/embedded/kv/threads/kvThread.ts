import { parentPort, workerData } from 'node:worker_threads';
import { blocksAtOnce, type BlockJob, type BlockOutcome } from './blockJob.ts';
import { BlockCutter } from './cutBlocks.ts';
import { nextAt } from './jobProgress.ts';
import { BlockPlacer } from './placeBlocks.ts';
import { sumBlock } from './sumBlock.ts';

/** A message to a thread: a job, and the progress of all threads in it. */
export interface SharedJob {
  readonly job: BlockJob;
  readonly progress: Int32Array;
  /** Whether all of its state file is there. Else llama.cpp may still write it. */
  readonly isComplete: boolean;
  /** Of the replies to it. */
  readonly id: number;
  /** How many threads share the job. */
  readonly threads: number;
}

/** A thread's answer: outcomes by the number of the block, or the reason of its failure. */
export type ThreadReply = { readonly id: number } & (
  | { readonly outcomes: readonly (readonly [number, BlockOutcome])[] }
  | { readonly failure: string }
);

const placer = new BlockPlacer();
const cutter = new BlockCutter();
const { thread } = workerData as { readonly thread: number };

const answer = (reply: ThreadReply): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread, which has no origin
  parentPort?.postMessage(reply);
};

parentPort?.on('message', (shared: SharedJob) => {
  try {
    answer({ id: shared.id, outcomes: tasks[shared.job.task](shared) });
  } catch (error) {
    answer({ id: shared.id, failure: error instanceof Error ? error.message : String(error) });
  }
});

const tasks = { place, cut, sum } satisfies Record<BlockJob['task'], unknown>;

/** When a block cannot be placed, those behind it are useless. */
function place(shared: SharedJob): [number, BlockOutcome][] {
  const { job, progress } = shared;
  return inSteps(shared, (from, to) => {
    const done = placer.run(job, from, to);
    if (done.some((outcome) => outcome !== 'done')) Atomics.store(progress, nextAt, job.blocks.length);
    return done;
  });
}

/** Takes blocks of the job until none is left. */
function inSteps(
  { job, progress, threads }: SharedJob,
  run: (from: number, to: number) => BlockOutcome[],
): [number, BlockOutcome][] {
  const outcomes: [number, BlockOutcome][] = [];
  // Small jobs are shared, too.
  const step = Math.min(blocksAtOnce(job), Math.ceil(job.blocks.length / threads));
  for (;;) {
    const from = Atomics.add(progress, nextAt, step);
    if (from >= job.blocks.length) return outcomes;
    const done = run(from, Math.min(from + step, job.blocks.length));
    done.forEach((outcome, at) => outcomes.push([from + at, outcome]));
  }
}

/** Files that all threads together have open. */
const mostOpen = 1024;

/** Where the state still grows, cuts this thread's share of the blocks: all of its files grow together, as the state does. */
function cut(shared: SharedJob): [number, BlockOutcome][] {
  const { job, progress, threads } = shared;
  if (shared.isComplete) return inSteps(shared, (from, to) => cutter.run(job, from, to, progress, thread));
  const boundary = (share: number): number => Math.floor((job.blocks.length * share) / threads);
  const from = boundary(thread);
  return cutter
    .run(job, from, boundary(thread + 1), progress, thread, Math.floor(mostOpen / threads))
    .map((outcome, at): [number, BlockOutcome] => [from + at, outcome]);
}

/** Takes one block at a time, so that it soon stops when the job is stopped. */
function sum({ job, progress }: SharedJob): [number, BlockOutcome][] {
  const outcomes: [number, BlockOutcome][] = [];
  for (;;) {
    const at = Atomics.add(progress, nextAt, 1);
    const block = job.blocks[at];
    if (!block) return outcomes;
    outcomes.push([at, sumBlock(job, block.hash)]);
  }
}
