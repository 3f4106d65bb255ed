/**
 * Runs at most one job of each key at a time. Requests during a run make the job run once more, so that the last result is never older
 * than the last request.
 */
export class LatestOnly {
  readonly #running = new Map<string, { again: boolean; done: Promise<void> }>();

  run(key: string, job: () => Promise<void>): Promise<void> {
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.again = true;
      return running.done;
    }
    const entry = { again: false, done: Promise.resolve() };
    entry.done = this.#repeat(key, entry, job);
    this.#running.set(key, entry);
    return entry.done;
  }

  async #repeat(key: string, entry: { again: boolean }, job: () => Promise<void>): Promise<void> {
    // Lets `run` put the entry into the map before a job that ends at once takes it out.
    await Promise.resolve();
    try {
      do {
        entry.again = false;
        await job();
      } while (entry.again);
    } finally {
      this.#running.delete(key);
    }
  }
}
