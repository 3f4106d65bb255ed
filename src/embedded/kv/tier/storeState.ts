import { ftruncateSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockFolder } from '../files/blockFolder.ts';
import type { BlockJob, BlockOutcome, RowRun } from '../threads/blockJob.ts';
import { cutWhileSaving } from '../threads/cutWhileSaving.ts';
import { largePieces, smallPieces, type DiskTier, type Named } from './diskTier.ts';
import {
  parseStateFile,
  runsOf,
  stateBytes,
  wholeSequence,
  type ByteSource,
  type StateFile,
  type StatePart,
} from '../state/stateFile.ts';
import { fileSource } from '../files/wholeCalls.ts';

/** Tokens of a sequence. */
export interface TokenRange {
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
}

/** Has llama.cpp save its state, or these tokens of it. */
export type SaveState = (path: string, range: TokenRange | null) => Promise<void>;

/** Writes what llama.cpp holds to the disk. */
export class StateStore {
  readonly #tier: DiskTier;
  /** Bytes of the largest position state that was seen. */
  #positionBytes = 0;

  constructor(tier: DiskTier) {
    this.#tier = tier;
  }

  /** As `DiskCache.store`. */
  async store(named: Named, savedTokens: number, save: SaveState, savesParts: boolean): Promise<boolean> {
    await this.#tier.sums.pause();
    try {
      return savesParts && this.#tier.cutsAnywhere && this.#tier.rows
        ? await this.#storeInParts(named, save, this.#tier.rows)
        : await this.#storeWhole(named, savedTokens, save);
    } finally {
      this.#tier.releaseSoon();
      this.#tier.sums.resume();
    }
  }

  /** llama.cpp saves a part while the two before it are cut, which takes the memory of three parts, whatever the size of the state. */
  async #storeInParts(named: Named, save: SaveState, rows: BlockFolder): Promise<boolean> {
    const { hashes, tail } = named;
    const cutting: Promise<void>[] = [];
    let storeTail = (): boolean => false;
    try {
      for (const [at, { blocks, range, hasTail }] of this.#partsToSave(named).entries()) {
        await cutting[at - this.#tier.passing.length];
        const place = await this.#tier.lane(at).place(stateBytes(this.#tier.shape.rows, range.to - range.from));
        const startedMs = performance.now();
        await save(place.path, range);
        this.#tier.counters.saveMs += performance.now() - startedMs;
        const source = fileSource(place.open());
        const part = { from: range.from, namesSequence: false };
        const state = this.#stateOf(source, named, range.to, part);
        const firstBlock = range.from / this.#tier.blockTokens;
        const pieces = blocks.map((index) => ({ hash: hashes[index] ?? '', index: index - firstBlock }));
        if (pieces.length > 0) {
          const job = this.#tier.job('cut', rows, state.runs, place.open(), pieces);
          const cut = this.#cut({ ...job, ...largePieces });
          // A failure is met where its end is awaited.
          cut.catch(() => undefined);
          cutting.push(cut);
        }
        if (hasTail && tail !== null) storeTail = () => this.#storeTail(source, state, named, part);
      }
      await Promise.all(cutting);
      return storeTail();
    } finally {
      await Promise.allSettled(cutting);
    }
  }

  async #storeWhole(named: Named, savedTokens: number, save: SaveState): Promise<boolean> {
    const { hashes, tail } = named;
    const lost = this.#tier.missing(hashes);
    const place = await this.#tier
      .lane(0)
      .place(stateBytes(this.#tier.shape.rows, savedTokens) + 2 * this.#positionBytes);
    // What llama.cpp has not written yet must not look as if it had.
    if (place.isInMemory) ftruncateSync(place.open(), 0);
    const missing = lost.map((index) => ({ hash: hashes[index] ?? '', index }));
    const jobOf = (rows: BlockFolder, runs: readonly RowRun[]): BlockJob =>
      this.#tier.job('cut', rows, runs, place.open(), missing);
    const cutting =
      this.#tier.rows && this.#tier.shape.rows && missing.length > 0 && place.isInMemory
        ? cutWhileSaving(this.#tier.threads, jobOf(this.#tier.rows, runsOf(this.#tier.shape.rows, savedTokens)))
        : null;
    try {
      const startedMs = performance.now();
      await save(place.path, null);
      this.#tier.counters.saveMs += performance.now() - startedMs;
      const source = fileSource(place.open());
      const state = this.#stateOf(source, named, hashes.length * this.#tier.blockTokens, wholeSequence);
      if (this.#tier.rows && missing.length > 0)
        await this.#cut(jobOf(this.#tier.rows, state.runs), await cutting?.end(state.runs));
      const last = hashes.at(-1);
      // Recomputed rows replace damaged ones; the stored position state behind them may be damaged, too.
      if (this.#tier.positions && last !== undefined && (missing.length > 0 || !this.#tier.positions.has(last))) {
        this.#positionBytes = Math.max(this.#positionBytes, source.sizeBytes - state.positionOffset);
        const position = source.read(state.positionOffset, source.sizeBytes - state.positionOffset);
        this.#tier.positions.write(last, position, join(this.#tier.runFolder, 'position.tmp'));
      }
      return tail !== null && this.#storeTail(source, state, named, wholeSequence);
    } finally {
      await cutting?.end(null);
    }
  }

  /** @param outcomes of the job, where it was done already. Default: it is done now. */
  async #cut(job: BlockJob, outcomes?: readonly BlockOutcome[] | null): Promise<void> {
    this.#count(job.blocks, outcomes ?? (await this.#tier.threads.run(job)));
    this.#tier.sums.add({ ...job, task: 'sum', ...smallPieces });
  }

  /** Parts of llama.cpp's state that have everything that is missing. */
  #partsToSave({ ids, hashes, tail }: Named): PartToSave[] {
    const tailBlock = tail === null ? null : Math.floor(Math.max(0, ids.length - 1) / this.#tier.blockTokens);
    const left = this.#tier.missing(hashes);
    const parts: PartToSave[] = [];
    for (let first = left[0]; first !== undefined; first = left[0]) {
      const afterPart = first + this.#tier.partBlocks;
      const behind = left.findIndex((index) => index >= afterPart);
      const blocks = left.splice(0, behind < 0 ? left.length : behind);
      const end = (blocks.at(-1) ?? first) + 1;
      const hasTail = tailBlock !== null && left.length === 0 && tailBlock <= afterPart;
      const to = Math.max(end * this.#tier.blockTokens, hasTail ? ids.length - 1 : 0);
      parts.push({ blocks, range: { from: first * this.#tier.blockTokens, to }, hasTail });
    }
    if (tailBlock !== null && parts.at(-1)?.hasTail !== true) {
      const range = { from: tailBlock * this.#tier.blockTokens, to: ids.length - 1 };
      parts.push({ blocks: [], range, hasTail: true });
    }
    return parts;
  }

  /**
   * @param end position behind the last token that is stored of it, but for the tail.
   * @throws StateFormatError, Error when the state is not that part of these ids.
   */
  #stateOf(source: ByteSource, { ids }: Named, end: number, part: StatePart): StateFile {
    const state = parseStateFile(source, this.#tier.shape, part);
    const reached = part.from + state.ids.length;
    const isOther = this.#tier.positions ? reached !== end : reached < end;
    if (isOther || state.ids.some((id, at) => part.from + at < end && id !== ids[part.from + at])) {
      throw new Error("llama.cpp's state is not that of the prompt.");
    }
    return state;
  }

  /** @throws Error when the state does not hold these tokens. */
  #storeTail(source: ByteSource, state: StateFile, { ids, tail }: Named, part: StatePart): boolean {
    const tokens = this.#tier.tailTokens(ids);
    const begin = ids.length - 1 - tokens;
    const from = begin - part.from;
    const end = from + tokens;
    if (state.ids.length < end || state.ids.slice(from, end).some((id, at) => id !== ids[begin + at]))
      throw new Error("llama.cpp's state does not have the prompt's last tokens.");
    const rows = state.runs.map(({ offset, rowBytes }) => source.read(offset + rowBytes * from, rowBytes * tokens));
    return this.#tier.rows?.write(tail ?? '', Buffer.concat(rows), join(this.#tier.runFolder, 'tail.tmp')) ?? false;
  }

  #count(blocks: BlockJob['blocks'], outcomes: readonly BlockOutcome[]): void {
    outcomes.forEach((outcome, at) => {
      const hash = blocks[at]?.hash ?? '';
      if (outcome === 'done') this.#tier.counters.written++;
      else this.#tier.rows?.failedToWrite(hash, typeof outcome === 'object' ? outcome.failure : outcome);
    });
  }
}

/** Some tokens of a context, and what is stored of them. */
interface PartToSave {
  /** Indices of blocks. */
  readonly blocks: readonly number[];
  readonly range: TokenRange;
  readonly hasTail: boolean;
}
