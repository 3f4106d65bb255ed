import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { OtherMachines } from './backendLock.ts';

const fileName = 'other-machine.json';
const seenSchema = z.object({ lock: z.string(), sinceMs: z.number() });

/**
 * A lock that stayed the same for so long, in milliseconds, is that of a dead backend. A beat comes every 15 s, and programs that synchronise folders
 * may be a minute late with it.
 */
const silentMs = 120_000;

/**
 * The lock of another machine as this machine saw it last, and since when. It is a file of this machine, because each backend that finds the storage
 * directory taken ends with the next refused change, and the next one looks again.
 */
export class SeenLocks implements OtherMachines {
  readonly #directory: () => string | null;
  readonly #nowMs: () => number;

  /**
   * @param directory on this machine alone; null: there is none, and nothing is remembered.
   * @param nowMs a clock of this machine that all its processes share and nobody sets. One that stands still while the machine sleeps is right: the
   *   other one's beats come only when it is awake again. Default: the time since its start.
   */
  constructor(directory: () => string | null, nowMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)) {
    this.#directory = directory;
    this.#nowMs = nowMs;
  }

  isSilent(lock: string): boolean {
    const directory = this.#directory();
    if (directory === null) return false;
    const path = join(directory, fileName);
    const nowMs = this.#nowMs();
    const seen = read(path);
    // A time that is still to come was before the machine was started again.
    if (seen?.lock === lock && seen.sinceMs <= nowMs) return nowMs - seen.sinceMs >= silentMs;
    try {
      writeFileSync(path, JSON.stringify({ lock, sinceMs: nowMs }), { mode: 0o600 });
    } catch {
      // The next look begins again.
    }
    return false;
  }
}

function read(path: string): z.infer<typeof seenSchema> | null {
  try {
    return seenSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}
