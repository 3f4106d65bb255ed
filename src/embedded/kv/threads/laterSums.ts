import type { BlockCounters } from '../files/blockFolder.ts';
import type { BlockJob } from './blockJob.ts';
import type { KvThreads, RunningJob } from './kvThreads.ts';

/**
 * Has the SHA-256 of stored blocks computed while llama.cpp computes, or nobody does anything: it takes longer than all else of a store, and
 * only a window's record and its verification need it. Loads and stores go first. What a process leaves undone, the reader of the
 * checksum computes.
 */
export class LaterSums {
  readonly #threads: KvThreads;
  readonly #counters: BlockCounters;
  #jobs: BlockJob[] = [];
  #running: { readonly job: RunningJob; readonly end: Promise<void> } | null = null;

  constructor(threads: KvThreads, counters: BlockCounters) {
    this.#threads = threads;
    this.#counters = counters;
  }

  /** @param job a `sum` over stored blocks. */
  add(job: BlockJob): void {
    this.#jobs.push(job);
  }

  /** Frees the threads, after the block that each is at. */
  async pause(): Promise<void> {
    this.#running?.job.stop();
    await this.#running?.end;
  }

  /** Continues; nobody waits for it. */
  resume(): void {
    const job = this.#jobs[0];
    if (this.#running || !job) return;
    const running = this.#threads.begin(job);
    this.#running = { job: running, end: this.#follow(job, running) };
  }

  async #follow(job: BlockJob, running: RunningJob): Promise<void> {
    const startedMs = performance.now();
    const outcomes = await running.outcomes.catch(() => null);
    this.#counters.sumMs += performance.now() - startedMs;
    // Where a thread failed, the readers compute it.
    const left = outcomes ? job.blocks.filter((_, at) => outcomes[at] === 'not-reached') : [];
    this.#counters.summed += outcomes?.filter((outcome) => outcome === 'done').length ?? 0;
    this.#jobs = [...(left.length > 0 ? [{ ...job, blocks: left }] : []), ...this.#jobs.slice(1)];
    this.#running = null;
    if (!running.isStopped) this.resume();
  }
}
