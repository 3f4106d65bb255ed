import { readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod/mini';
import type { Log } from '../process/logFile.ts';
import type { Metrics } from './metrics.ts';

const countsSchema = z.array(
  z.object({ name: z.string(), labels: z.record(z.string(), z.string()), value: z.number() }),
);

/** At most so much is lost when the process is killed. */
const saveEveryMs = 10_000;

/** Counts that outlive the process, in a file of the storage directory. A file that cannot be read or written costs the counts and nothing else. */
export class RememberedCounts {
  readonly #metrics: Metrics;
  readonly #file: string;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;

  constructor(metrics: Metrics, file: string, log: Log) {
    this.#metrics = metrics;
    this.#file = file;
    this.#log = log;
  }

  async load(): Promise<void> {
    try {
      this.#metrics.remember(countsSchema.parse(JSON.parse(await readFile(this.#file, 'utf8'))));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#log.failure('read the remembered counts', error);
    }
  }

  /** Something was counted. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.save(), saveEveryMs).unref();
  }

  async save(): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await writeFileAtomic(this.#file, JSON.stringify(await this.#metrics.remembered()), {
        mode: 0o600,
        fsync: false,
      });
    } catch (error) {
      this.#log.failure('write the remembered counts', error);
    }
  }
}
