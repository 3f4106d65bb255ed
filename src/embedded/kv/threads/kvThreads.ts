import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { BlockJob, BlockOutcome } from './blockJob.ts';
import { newProgress, nextAt, stateStatus, statusAt } from './jobProgress.ts';
import type { SharedJob, ThreadReply } from './kvThread.ts';

/** More do not read faster from one disk. */
const mostThreads = 4;

const threadPath = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './kvThread.ts' : './kvThread.js', import.meta.url),
);

/** A job that threads work on. */
export interface RunningJob {
  /** As {@link KvThreads.run} gives them; blocks that a stop left are not reached. */
  readonly outcomes: Promise<BlockOutcome[]>;
  readonly isStopped: boolean;
  /** Has the threads take no further blocks of a `place` or a `sum`. */
  stop(): void;
}

/**
 * Threads that read, check and write the files of blocks, one job after the other. A `place`, and a `cut` of a complete state, begin while others of
 * their kind still run: a thread that has done its share goes on. They do not keep the process alive.
 */
export class KvThreads {
  readonly #threads: (Worker | null)[];
  #previous: Promise<void> = Promise.resolve();
  /** The last job that none begins beside. */
  #previousAlone: Promise<void> = Promise.resolve();
  #lastId = 0;

  /** @param count default: one for each core, at most 4. */
  constructor(count = Math.min(mostThreads, availableParallelism())) {
    this.#threads = Array.from({ length: Math.max(1, count) }, () => null);
  }

  /** Starts them, so that the first job need not wait for that. */
  start(): void {
    for (const index of this.#threads.keys()) this.#thread(index);
  }

  /**
   * The outcome of each block, in the job's order.
   *
   * @param isGood where llama.cpp still writes the state file of a `cut`: settles when it is complete, with false, or a rejection, when
   *   nothing of it may be used. Default: the file is complete.
   * @throws Error when a thread could not work, as over a state file that ends too early.
   */
  run(job: BlockJob, isGood: Promise<boolean> | null = null): Promise<BlockOutcome[]> {
    return this.begin(job, isGood).outcomes;
  }

  /** Like {@link run}, but can be stopped. */
  begin(job: BlockJob, isGood: Promise<boolean> | null = null): RunningJob {
    const progress = newProgress();
    const judge = (status: number): void => {
      Atomics.store(progress, statusAt, status);
      Atomics.notify(progress, statusAt);
    };
    if (isGood === null) judge(stateStatus.good);
    else {
      isGood.then(
        (good) => judge(good ? stateStatus.good : stateStatus.bad),
        () => judge(stateStatus.bad),
      );
    }
    let isStopped = false;
    const isAlone = job.task === 'sum' || isGood !== null;
    const outcomes = (isAlone ? this.#previous : this.#previousAlone).then(() =>
      this.#outcomes(job, progress, isGood === null),
    );
    // Without the results: each would hold those of all jobs before it.
    this.#previous = Promise.allSettled([this.#previous, outcomes]).then(() => undefined);
    if (isAlone) this.#previousAlone = this.#previous;
    return {
      outcomes,
      get isStopped() {
        return isStopped;
      },
      stop: () => {
        isStopped = true;
        Atomics.store(progress, nextAt, job.blocks.length);
      },
    };
  }

  async #outcomes(job: BlockJob, progress: Int32Array, isComplete: boolean): Promise<BlockOutcome[]> {
    const outcomes = job.blocks.map((): BlockOutcome => 'not-reached');
    const failures: string[] = [];
    const shared = { id: ++this.#lastId, job, progress, isComplete, threads: this.#threads.length };
    const replies = this.#threads.map((_, index) => this.#ask(index, shared));
    for (const reply of await Promise.all(replies)) {
      if ('failure' in reply) failures.push(reply.failure);
      else for (const [index, outcome] of reply.outcomes) outcomes[index] = outcome;
    }
    if (failures[0] !== undefined) throw new Error(failures[0]);
    return outcomes;
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(async (thread) => thread?.terminate()));
  }

  #ask(index: number, shared: SharedJob): Promise<ThreadReply> {
    return new Promise((resolve) => {
      const thread = this.#thread(index);
      const { id } = shared;
      const settle = (reply: ThreadReply): void => {
        if (reply.id !== id) return;
        thread.off('message', settle).off('error', failed).off('exit', ended);
        if (thread.listenerCount('message') === 0) thread.unref();
        resolve(reply);
      };
      const failed = (error: Error): void => settle({ id, failure: error.message });
      const ended = (): void => settle({ id, failure: 'A thread for KV ended.' });
      thread.on('message', settle).on('error', failed).on('exit', ended).ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, which has no origin
      thread.postMessage(shared);
    });
  }

  #thread(index: number): Worker {
    const running = this.#threads[index];
    if (running) return running;
    const thread = new Worker(threadPath, { workerData: { thread: index }, execArgv: [] });
    const forget = (): void => void (this.#threads[index] === thread && (this.#threads[index] = null));
    thread.on('error', forget).on('exit', forget).unref();
    this.#threads[index] = thread;
    return thread;
  }
}
