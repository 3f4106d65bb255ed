import { appendFile, open, readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod/mini';
import type { Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type { TokensTaken } from '../../protocol/schemas/session.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { decodeLines, encodeLines } from '../../store/disk/lines.ts';
import type { Envelope } from '../../store/encryption/envelope.ts';
import type { Log } from '../process/logFile.ts';

const count = z.number().check(z.nonnegative());

/** A line of the file adds to the lines before it with the same day, session, source and model. */
const lineSchema = z.object({
  /** In the machine's time zone, like `2026-03-09`. */
  day: z.string(),
  session: z.string(),
  /** Kind of the client that asked. */
  source: z.string(),
  model: z.string(),
  requests: count,
  /** Of `requests`, those whose server did not say what they took. */
  uncounted: count,
  promptTokens: count,
  /** Of the prompts, those that the server said it reused. */
  cachedTokens: count,
  /** Of the prompts, those that it said it computed; of the rest it said nothing. */
  computedTokens: count,
  outputTokens: count,
});
export type UsageLine = z.infer<typeof lineSchema>;

export const counts = [
  'requests',
  'uncounted',
  'promptTokens',
  'cachedTokens',
  'computedTokens',
  'outputTokens',
] as const satisfies readonly (keyof UsageLine)[];

/** A power cut costs at most so much; a kill costs nothing. */
const syncEveryMs = 10_000;
/** A file with more lines than sums, and these more, is written again at the start. */
const spareLines = 1_000;

/**
 * Tokens of every turn since the storage directory was made, by day, session, client and model (S1-35). A turn adds one line to a file and
 * waits neither for the write nor for the disk. A file that cannot be read or written costs figures and nothing else.
 */
export class UsageLedger {
  readonly #file: string;
  readonly #envelope: Envelope;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #log: Log;
  readonly #queue = new SerialQueue();
  readonly #sums = new Map<string, UsageLine>();
  #waiting: UsageLine[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Its end may be a part of a line. */
  #isTorn = false;

  constructor(file: string, envelope: Envelope, clock: Pick<Clock, 'now'>, log: Log) {
    this.#file = file;
    this.#envelope = envelope;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param isReadOnly nothing is written. */
  async load(isReadOnly: boolean): Promise<void> {
    try {
      const { plain: bytes, isOld } = this.#envelope.open(await readFile(this.#file));
      const { values, damagedLines, wholeBytes } = decodeLines(bytes, lineSchema);
      for (const line of values) this.#sum(line);
      if (damagedLines.length > 0)
        this.#log.write('warning', 'damaged lines of the usage were left out', { lines: damagedLines.length });
      this.#isTorn = isOld || wholeBytes < bytes.length || damagedLines.length > 0;
      const isLong = values.length > this.#sums.size + spareLines;
      if (!isReadOnly && (this.#isTorn || isLong)) await this.#queue.run(() => this.#rewrite());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#log.failure('read the usage', error);
    }
  }

  /** One for each day, session, source and model. */
  get lines(): readonly UsageLine[] {
    return [...this.#sums.values()];
  }

  add(session: SessionId, source: string, taken: TokensTaken): void {
    const line = lineOf(dayOf(this.#clock.now()), session, source, taken);
    this.#sum(line);
    this.#waiting.push(line);
    if (this.#waiting.length === 1) void this.#queue.run(() => this.#write());
    this.#timer ??= setTimeout(() => void this.#queue.run(() => this.#sync()), syncEveryMs).unref();
  }

  close(): Promise<void> {
    return this.#queue.run(() => this.#sync());
  }

  #sum(line: UsageLine): void {
    const key = JSON.stringify([line.day, line.session, line.source, line.model]);
    const sum = this.#sums.get(key);
    if (!sum) return void this.#sums.set(key, { ...line });
    for (const name of counts) sum[name] += line[name];
  }

  async #write(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    try {
      if (this.#isTorn) return await this.#rewrite();
      this.#isTorn = true;
      await appendFile(this.#file, this.#envelope.seal(encodeLines(lines)), { mode: 0o600 });
      this.#isTorn = false;
    } catch (error) {
      this.#log.failure('write the usage', error);
    }
  }

  async #sync(): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      if (this.#isTorn) return await this.#rewrite();
      const handle = await open(this.#file, 'r+');
      await handle.sync().finally(() => handle.close());
    } catch (error) {
      this.#log.failure('write the usage', error);
    }
  }

  /** The sums have every line, also those that could not be written. */
  async #rewrite(): Promise<void> {
    await writeFileAtomic(this.#file, Buffer.from(this.#envelope.seal(encodeLines(this.lines))), { mode: 0o600 });
    this.#isTorn = false;
  }
}

/** One request. */
export function lineOf(
  day: string,
  session: string,
  source: string,
  { model, promptTokens, cachedTokens, outputTokens }: TokensTaken,
): UsageLine {
  const told = promptTokens !== null && cachedTokens !== null;
  return {
    day,
    session,
    source,
    model,
    requests: 1,
    uncounted: promptTokens === null || outputTokens === null ? 1 : 0,
    promptTokens: promptTokens ?? 0,
    cachedTokens: told ? Math.min(cachedTokens, promptTokens) : 0,
    computedTokens: told ? Math.max(0, promptTokens - cachedTokens) : 0,
    outputTokens: outputTokens ?? 0,
  };
}

/** In the machine's time zone, like `2026-03-09`. */
export function dayOf(date: Date): string {
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  return parts.map((part, at) => String(part).padStart(at === 0 ? 4 : 2, '0')).join('-');
}
