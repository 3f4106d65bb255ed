import { readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod/mini';
import type { Envelope } from '../../store/encryption/envelope.ts';
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
  readonly #envelope: Envelope;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;

  constructor(metrics: Metrics, file: string, envelope: Envelope, log: Log) {
    this.#metrics = metrics;
    this.#file = file;
    this.#envelope = envelope;
    this.#log = log;
  }

  async load(): Promise<void> {
    try {
      const { plain, isOld } = this.#envelope.open(await readFile(this.#file));
      this.#metrics.remember(countsSchema.parse(JSON.parse(plain.toString())));
      if (isOld) this.changed();
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
      const text = Buffer.from(JSON.stringify(await this.#metrics.remembered()));
      await writeFileAtomic(this.#file, Buffer.from(this.#envelope.seal(text)), {
        mode: 0o600,
        fsync: false,
      });
    } catch (error) {
      this.#log.failure('write the remembered counts', error);
    }
  }
}
