import { ftruncateSync } from 'node:fs';
import { join } from 'node:path';
import { blockHashChain, promptHashes, type PromptHashes } from '../../base/kvBlockHash.ts';
import type { BlockJob, BlockOutcome, RowRun } from './blockJob.ts';
import type { BlockCounters, BlockFolder } from './blockFolder.ts';
import { cutWhileSaving } from './cutWhileSaving.ts';
import { hashProfile } from './kvNamespace.ts';
import { canCut, kvBytesPerToken, type StateShape } from './kvLayout.ts';
import type { KvThreads } from './kvThreads.ts';
import { LaterSums } from './laterSums.ts';
import type { PassingState, StateFileAt } from './passingState.ts';
import {
  bufferSource,
  idsWithoutRows,
  parseStateFile,
  runsOf,
  stateBytes,
  stateFrame,
  type ByteSource,
  type StateFile,
  type StateFrame,
  type StatePart,
  wholeSequence,
} from './stateFile.ts';
import { fileSource, writeAll } from './wholeCalls.ts';

export interface DiskCacheOptions {
  readonly shape: StateShape;
  readonly blockTokens: number;
  /** Rows of blocks; null when the shape has none. */
  readonly rows: BlockFolder | null;
  /** Position states, each named like the block whose last token it stands behind; null when the shape has none. */
  readonly positions: BlockFolder | null;
  readonly counters: BlockCounters;
  readonly runFolder: string;
  /** At least one. With three, a large state can pass in parts. */
  readonly passing: readonly PassingState[];
  readonly threads: KvThreads;
  /** Bytes of each part of a state that passes in parts. Default: 16 MiB, which stays in the processor's caches. */
  readonly partStateBytes?: number;
}

/** A state that was put together, and what is in it. */
export interface Assembled {
  readonly blocks: number;
  /** Of these blocks, and of the tail behind them where it was there. */
  readonly tokens: number;
  readonly state: StateFileAt;
}

/** llama.cpp, as far as it takes a state part by part. */
export interface PartTaker {
  /** @param hashes the blocks of the part, and its tail. @param isFirst whether it replaces what was there. */
  append(path: string, hashes: readonly string[], isFirst: boolean): Promise<void>;
  /** All parts came; the state at `path` has their tokens. */
  adopt(path: string, tokens: number): Promise<void>;
}

/** What llama.cpp took in parts. */
export interface TakenParts {
  readonly blocks: number;
  /** Of these blocks, and of the tail behind them where it was there. */
  readonly tokens: number;
  /** Why there are no more, where a later part could not be put together; null otherwise. */
  readonly failure: Error | null;
}

/** Tokens of a sequence. */
export interface TokenRange {
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
}

/** Has llama.cpp save its state, or these tokens of it. */
export type SaveState = (path: string, range: TokenRange | null) => Promise<void>;

/** The context that a state is put together for, or that one is stored of. */
export interface Named {
  readonly ids: readonly number[];
  /** Names of its full blocks. */
  readonly hashes: readonly string[];
  /** Name of its tail, as {@link PromptHashes} has it; null where it is neither loaded nor stored. */
  readonly tail: string | null;
}

/**
 * KV of prompts on disk: the rows of each full block, those of tails behind the last one and, for models that need one, position states at
 * the ends of some blocks. A run of blocks becomes a state file that llama.cpp loads; a state file that it saved is cut into blocks. The state file
 * passes through memory where the system has files in memory, so that the disk sees each byte once.
 */
export class DiskCache {
  readonly blockTokens: number;
  readonly counters: BlockCounters;
  /** Whether a prompt can be continued behind any block, not only where a position state was stored. */
  readonly cutsAnywhere: boolean;
  readonly #shape: StateShape;
  readonly #rows: BlockFolder | null;
  readonly #positions: BlockFolder | null;
  readonly #runFolder: string;
  /** At least one. */
  readonly #passing: readonly PassingState[];
  readonly #threads: KvThreads;
  readonly #sums: LaterSums;
  /** Blocks of a part. */
  readonly #partBlocks: number;
  /** Bytes of the largest position state that was seen. */
  #positionBytes = 0;
  /** When the last part was there. */
  #placedUntilMs = 0;

  constructor(options: DiskCacheOptions) {
    const { shape, blockTokens, rows, positions, counters, runFolder, passing, threads } = options;
    const { partStateBytes = 16 << 20 } = options;
    this.blockTokens = blockTokens;
    this.counters = counters;
    this.cutsAnywhere = canCut(shape);
    this.#shape = shape;
    this.#rows = rows;
    this.#positions = positions;
    this.#runFolder = runFolder;
    this.#passing = passing;
    this.#threads = threads;
    this.#sums = new LaterSums(threads, counters);
    this.#partBlocks = Math.max(1, Math.floor(partStateBytes / Math.max(1, this.#tailBytes(blockTokens))));
  }

  /** Has the code that every request runs compiled before the first one comes. */
  warmUp(): void {
    const ids = Array.from({ length: warmUpTokens }, (_, index) => index);
    this.hashes(ids, null);
    const [head] = stateFrame({ keys: [], values: [] }, ids).pieces;
    if (head) parseStateFile(bufferSource(Buffer.from(head.bytes)), null);
  }

  /** Names of the full blocks of a prompt. */
  hashes(ids: readonly number[], salt: string | null): string[] {
    return blockHashChain(hashProfile, ids, this.blockTokens, salt);
  }

  /** Names of the full blocks of a prompt, and of its tail where a state can end anywhere. */
  names(ids: readonly number[], salt: string | null): PromptHashes {
    const names = promptHashes(hashProfile, ids, this.blockTokens, salt);
    return this.cutsAnywhere ? names : { ...names, tail: null };
  }

  /** Whether the tail of a prompt of these ids seems to be on disk. */
  hasTail(ids: readonly number[], tail: string): boolean {
    return this.#rows?.has(tail, this.#tailBytes(this.#tailTokens(ids))) ?? false;
  }

  /** Whether the state of so many blocks is so large that it had better pass in parts. */
  isWorthParts(blocks: number): boolean {
    return this.cutsAnywhere && this.#passing.length >= lanesOfParts && blocks > this.#partBlocks;
  }

  /** Whether files that can be loaded end with this block, as far as names and sizes tell. */
  endsWith(hash: string): boolean {
    return (this.#positions ?? this.#rows)?.has(hash) ?? false;
  }

  /** Number of leading blocks, at most `maxBlocks`, that seem to be on disk and behind which a prompt can continue. */
  reach(hashes: readonly string[], maxBlocks: number): number {
    let blocks = maxBlocks;
    if (this.#rows) {
      blocks = 0;
      while (blocks < maxBlocks && this.#rows.has(hashes[blocks] ?? '')) blocks++;
    }
    while (blocks > 0 && this.#positions && !this.#positions.has(hashes[blocks - 1] ?? '')) blocks--;
    return blocks;
  }

  /**
   * Assembles the state of the longest run of good leading blocks, at most `maxBlocks`, behind which a prompt can continue; behind all of
   * them, the tail as well. The state takes room until {@link release}.
   *
   * @returns null when there is no such run.
   * @throws Error when the state cannot be written, as on a full disk.
   */
  async assemble({ ids, hashes, tail }: Named, maxBlocks: number): Promise<Assembled | null> {
    const startedMs = performance.now();
    for (let expected = this.reach(hashes, maxBlocks); expected > 0;) {
      const positionState = this.#positions ? this.#positions.read(hashes[expected - 1] ?? '') : new Uint8Array();
      if (!positionState) {
        expected = this.reach(hashes, expected - 1);
        continue;
      }
      const tailRows = tail !== null && expected === maxBlocks ? this.#readTail(ids, tail) : null;
      const tokens = expected * this.blockTokens + (tailRows ? this.#tailTokens(ids) : 0);
      const frame = stateFrame(this.#shape.rows, ids.slice(0, tokens), positionState);
      const state = await this.#lane(0).place(frame.sizeBytes);
      const file = state.open();
      ftruncateSync(file, frame.sizeBytes);
      for (const { offset, bytes } of frame.pieces) writeAll(file, bytes, offset);
      if (tailRows) this.#placeTail(frame, file, tailRows, expected * this.blockTokens);
      await this.#sums.pause();
      const good = await this.#place(frame, file, hashes.slice(0, expected)).finally(() => this.#sums.resume());
      if (good === expected) {
        // llama.cpp gets checked states only, whatever made them.
        parseStateFile(fileSource(file), this.#shape);
        this.counters.placeMs += performance.now() - startedMs;
        return { blocks: expected, tokens, state };
      }
      await this.release();
      expected = this.reach(hashes, good);
    }
    return null;
  }

  /**
   * Has llama.cpp take the longest run of good leading blocks, at most `maxBlocks`, part by part: whatever the size of the state, it takes the
   * memory of three parts, and the next two are read and checked while llama.cpp takes one. Behind all of the blocks, the tail as well.
   *
   * @param blocksThere what {@link reach} says.
   * @returns null when there is no good block; nothing has changed then.
   * @throws what the taker throws, after which nobody knows what llama.cpp holds; Error when the first part cannot be written, and nothing has changed.
   */
  async loadInParts(
    named: Named,
    maxBlocks: number,
    taker: PartTaker,
    blocksThere = this.reach(named.hashes, maxBlocks),
  ): Promise<TakenParts | null> {
    const { ids, hashes, tail } = named;
    let reach = blocksThere;
    let tailRows = tail !== null && reach === maxBlocks ? this.#readTail(ids, tail) : null;
    let [blocks, tokens, failure]: [number, number, Error | null] = [0, 0, null];
    let taking: Promise<void> = Promise.resolve();
    let part = 0;
    const framed = new Map<string, number>();
    let begun = 0;
    /** The parts that come next. */
    const placing: Promise<PlacedPart>[] = [];
    const beginNext = (): void => {
      if (begun >= reach) return;
      const wanted = Math.min(this.#partBlocks, reach - begun);
      const partTail = begun + wanted === maxBlocks ? tailRows : null;
      const next = this.#placePart(named, {
        blocks: begun,
        wanted,
        tail: partTail,
        lane: this.#lane(part++),
        framed,
      });
      // Awaited when its turn has come.
      next.catch(() => undefined);
      placing.push(next);
      begun += wanted;
    };
    await this.#sums.pause();
    try {
      // The next but one, so that a thread that has done its share of a part goes on at once.
      beginNext();
      beginNext();
      for (let next = placing.shift(); next; next = placing.shift()) {
        const placed = await next.catch((error: unknown) => {
          if (blocks === 0) throw error;
          failure = error instanceof Error ? error : new Error(String(error));
          return null;
        });
        if (placed === null) {
          // The ids go into the first lane, where the part after this one may still be placed.
          await Promise.allSettled(placing.splice(0));
          break;
        }
        const { good, wanted } = placed;
        const end = blocks + good;
        if (good < wanted) {
          // The blocks in front of the damage are put together again, without those behind them. Where more files vanish meanwhile, that needs
          // the room of the part that llama.cpp still reads, so its reading ends first.
          await Promise.allSettled(placing.splice(0));
          await taking;
          [reach, tailRows, begun] = [end, null, blocks];
          beginNext();
          continue;
        }
        await taking;
        placed.check();
        const hasTail = end === maxBlocks && tailRows !== null && tail !== null;
        const pieces = [...hashes.slice(blocks, end), ...(hasTail ? [tail] : [])];
        taking = taker.append(placed.path, pieces, blocks === 0);
        taking.catch(() => undefined);
        blocks = end;
        tokens += placed.tokens;
        beginNext();
      }
      await taking;
      if (blocks === 0) return null;
      const bytes = idsWithoutRows(ids.slice(0, tokens));
      const last = await this.#lane(0).place(bytes.length);
      ftruncateSync(last.open(), bytes.length);
      writeAll(last.open(), bytes, 0);
      await taker.adopt(last.path, tokens);
      return { blocks, tokens, failure };
    } finally {
      await Promise.allSettled(placing);
      this.releaseSoon();
      this.#sums.resume();
    }
  }

  /** Frees the room of the state that was assembled or saved last. Only the next state waits for it. */
  async release(): Promise<void> {
    await Promise.all(this.#passing.map((lane) => lane.release()));
  }

  /** The same for a caller that goes on. The next state meets the same failure and reports it. */
  releaseSoon(): void {
    this.release().catch(() => undefined);
  }

  /** Whether a file of these blocks is missing: rows, or the position state behind the last block. */
  isMissingAny(hashes: readonly string[]): boolean {
    const last = hashes.at(-1);
    if (last === undefined) return false;
    return this.missing(hashes).length > 0 || this.#positions?.has(last) === false;
  }

  /** Indices of the blocks whose rows have no file. */
  missing(hashes: readonly string[]): number[] {
    const rows = this.#rows;
    return rows ? [...hashes.keys()].filter((index) => !rows.has(hashes[index] ?? '')) : [];
  }

  /**
   * Lets llama.cpp save its state, and writes from it the missing rows of these blocks, the tail, and the position state behind the last block.
   *
   * @param named its ids begin with the tokens of its blocks; the saved state holds all of them, and the tail's, and ends with the blocks when
   *   the model has position states.
   * @param savedTokens number of tokens in llama.cpp's state.
   * @param savesParts whether some of them can be saved alone. Then those that are missing pass part by part, where the state can be cut.
   *   Default: no.
   * @returns whether the tail was written, where there is one.
   * @throws StateFormatError, Error when the state is not that of these ids; nothing of it is written then, or of that part.
   */
  async store(named: Named, savedTokens: number, save: SaveState, savesParts = false): Promise<boolean> {
    await this.#sums.pause();
    try {
      return savesParts && this.cutsAnywhere && this.#rows
        ? await this.#storeInParts(named, save, this.#rows)
        : await this.#storeWhole(named, savedTokens, save);
    } finally {
      this.releaseSoon();
      this.#sums.resume();
    }
  }

  /** llama.cpp saves a part while the two before it are cut, which takes the memory of three parts, whatever the size of the state. */
  async #storeInParts(named: Named, save: SaveState, rows: BlockFolder): Promise<boolean> {
    const { hashes, tail } = named;
    const cutting: Promise<void>[] = [];
    let isTailWritten = false;
    try {
      for (const [at, { blocks, range, hasTail }] of this.#partsToSave(named).entries()) {
        await cutting[at - this.#passing.length];
        const place = await this.#lane(at).place(stateBytes(this.#shape.rows, range.to - range.from));
        const startedMs = performance.now();
        await save(place.path, range);
        this.counters.saveMs += performance.now() - startedMs;
        const source = fileSource(place.open());
        const part = { from: range.from, namesSequence: false };
        const state = this.#stateOf(source, named, range.to, part);
        const firstBlock = range.from / this.blockTokens;
        const pieces = blocks.map((index) => ({ hash: hashes[index] ?? '', index: index - firstBlock }));
        if (pieces.length > 0) cutting.push(this.#cut(this.#job('cut', rows, state.runs, place.open(), pieces)));
        // A failure is met where its end is awaited.
        cutting.at(-1)?.catch(() => undefined);
        if (hasTail && tail !== null) isTailWritten = this.#storeTail(source, state, named, part);
      }
      await Promise.all(cutting);
      return isTailWritten;
    } finally {
      await Promise.allSettled(cutting);
    }
  }

  async #storeWhole(named: Named, savedTokens: number, save: SaveState): Promise<boolean> {
    const { hashes, tail } = named;
    const lost = this.missing(hashes);
    const place = await this.#lane(0).place(stateBytes(this.#shape.rows, savedTokens) + 2 * this.#positionBytes);
    // What llama.cpp has not written yet must not look as if it had.
    if (place.isInMemory) ftruncateSync(place.open(), 0);
    const missing = lost.map((index) => ({ hash: hashes[index] ?? '', index }));
    const jobOf = (rows: BlockFolder, runs: readonly RowRun[]): BlockJob =>
      this.#job('cut', rows, runs, place.open(), missing);
    const cutting =
      this.#rows && this.#shape.rows && missing.length > 0 && place.isInMemory
        ? cutWhileSaving(this.#threads, jobOf(this.#rows, runsOf(this.#shape.rows, savedTokens)))
        : null;
    try {
      const startedMs = performance.now();
      await save(place.path, null);
      this.counters.saveMs += performance.now() - startedMs;
      const source = fileSource(place.open());
      const state = this.#stateOf(source, named, hashes.length * this.blockTokens, wholeSequence);
      if (this.#rows && missing.length > 0)
        await this.#cut(jobOf(this.#rows, state.runs), await cutting?.end(state.runs));
      const last = hashes.at(-1);
      // Recomputed rows replace damaged ones; the stored position state behind them may be damaged, too.
      if (this.#positions && last !== undefined && (missing.length > 0 || !this.#positions.has(last))) {
        this.#positionBytes = Math.max(this.#positionBytes, source.sizeBytes - state.positionOffset);
        const position = source.read(state.positionOffset, source.sizeBytes - state.positionOffset);
        this.#positions.write(last, position, join(this.#runFolder, 'position.tmp'));
      }
      return tail !== null && this.#storeTail(source, state, named, wholeSequence);
    } finally {
      await cutting?.end(null);
    }
  }

  /** @param outcomes of the job, where it was done already. Default: it is done now. */
  async #cut(job: BlockJob, outcomes?: readonly BlockOutcome[] | null): Promise<void> {
    this.#count(job.blocks, outcomes ?? (await this.#threads.run(job)));
    this.#sums.add({ ...job, task: 'sum' });
  }

  /** Deletes blocks, or a tail, that llama.cpp could not take. */
  discard(hashes: readonly string[]): void {
    const last = hashes.at(-1);
    if (this.#positions && last !== undefined) this.#positions.remove(last);
    for (const hash of hashes) this.#rows?.remove(hash);
  }

  /** Parts of llama.cpp's state that have everything that is missing. */
  #partsToSave({ ids, hashes, tail }: Named): PartToSave[] {
    const tailBlock = tail === null ? null : Math.floor(Math.max(0, ids.length - 1) / this.blockTokens);
    const left = this.missing(hashes);
    const parts: PartToSave[] = [];
    while (left.length > 0 || (tailBlock !== null && parts.at(-1)?.hasTail !== true)) {
      const first = left[0] ?? tailBlock ?? 0;
      const behind = left.findIndex((index) => index >= first + this.#partBlocks);
      const blocks = left.splice(0, behind < 0 ? left.length : behind);
      const end = (blocks.at(-1) ?? first - 1) + 1;
      const hasTail = tailBlock !== null && left.length === 0 && tailBlock <= first + this.#partBlocks;
      const to = Math.max(end * this.blockTokens, hasTail ? ids.length - 1 : 0);
      parts.push({ blocks, range: { from: first * this.blockTokens, to }, hasTail });
    }
    return parts;
  }

  /**
   * @param end position behind the last token that is stored of it, but for the tail.
   * @throws StateFormatError, Error when the state is not that part of these ids.
   */
  #stateOf(source: ByteSource, { ids }: Named, end: number, part: StatePart): StateFile {
    const state = parseStateFile(source, this.#shape, part);
    const reached = part.from + state.ids.length;
    const isOther = this.#positions ? reached !== end : reached < end;
    if (isOther || state.ids.some((id, at) => part.from + at < end && id !== ids[part.from + at])) {
      throw new Error("llama.cpp's state is not that of the prompt.");
    }
    return state;
  }

  /** Puts the state of some blocks behind others together, as far as they are good. */
  async #placePart({ ids, hashes }: Named, { blocks, wanted, tail, lane, framed }: PartToPlace): Promise<PlacedPart> {
    const startedMs = performance.now();
    const from = blocks * this.blockTokens;
    const tokens = wanted * this.blockTokens + (tail ? this.#tailTokens(ids) : 0);
    const frame = stateFrame(this.#shape.rows, ids.slice(from, from + tokens), undefined, from);
    const state = await lane.place(frame.sizeBytes);
    const file = state.open();
    // The part before had another size. Its pages are used again, which takes a quarter of the time of new ones.
    ftruncateSync(file, frame.sizeBytes);
    // What lies between the rows is that of the part before, where that had as many tokens.
    const isFramed = framed.get(state.path) === tokens;
    for (const { offset, bytes } of isFramed ? frame.pieces.slice(0, 1) : frame.pieces) writeAll(file, bytes, offset);
    if (tail) this.#placeTail(frame, file, tail, wanted * this.blockTokens);
    const good = await this.#place(frame, file, hashes.slice(blocks, blocks + wanted));
    // Of two parts at once, each moment counts once.
    const endedMs = performance.now();
    this.counters.placeMs += endedMs - Math.max(startedMs, this.#placedUntilMs);
    this.#placedUntilMs = endedMs;
    // llama.cpp gets checked states only, whatever made them.
    const check = (): void => {
      if (!isFramed) parseStateFile(fileSource(file), this.#shape, { from, namesSequence: true });
      framed.set(state.path, tokens);
    };
    return { good, wanted, tokens, path: state.path, check };
  }

  /** One of the states that pass, in turns. */
  #lane(part: number): PassingState {
    const lane = this.#passing[part % this.#passing.length];
    if (!lane) throw new Error('There is no room for a state to pass.');
    return lane;
  }

  /** Tokens of a prompt's tail: those behind the last block that can be reused, without the last token. */
  #tailTokens(ids: readonly number[]): number {
    return Math.max(0, ids.length - 1) % this.blockTokens;
  }

  #tailBytes(tokens: number): number {
    return this.#shape.rows ? kvBytesPerToken(this.#shape.rows) * tokens : 0;
  }

  /** The tail's rows, run after run; null when it is missing or was damaged. */
  #readTail(ids: readonly number[], tail: string): Buffer | null {
    if (!this.#rows || !this.hasTail(ids, tail)) return null;
    return this.#rows.read(tail);
  }

  #placeTail(frame: StateFrame, file: number, rows: Buffer, from: number): void {
    const tokens = rows.length / this.#tailBytes(1);
    let at = 0;
    for (const { offset, rowBytes } of frame.runs) {
      writeAll(file, rows.subarray(at, at + rowBytes * tokens), offset + rowBytes * from);
      at += rowBytes * tokens;
    }
  }

  /** @throws Error when the state does not hold these tokens. */
  #storeTail(source: ByteSource, state: StateFile, { ids, tail }: Named, part: StatePart): boolean {
    const tokens = this.#tailTokens(ids);
    const begin = ids.length - 1 - tokens;
    const from = begin - part.from;
    const end = from + tokens;
    if (state.ids.length < end || state.ids.slice(from, end).some((id, at) => id !== ids[begin + at]))
      throw new Error("llama.cpp's state does not have the prompt's last tokens.");
    const rows = state.runs.map(({ offset, rowBytes }) => source.read(offset + rowBytes * from, rowBytes * tokens));
    return this.#rows?.write(tail ?? '', Buffer.concat(rows), join(this.#runFolder, 'tail.tmp')) ?? false;
  }

  #count(blocks: BlockJob['blocks'], outcomes: readonly BlockOutcome[]): void {
    outcomes.forEach((outcome, at) => {
      const hash = blocks[at]?.hash ?? '';
      if (outcome === 'done') this.counters.written++;
      else this.#rows?.failedToWrite(hash, typeof outcome === 'object' ? outcome.failure : outcome);
    });
  }

  /** Number of leading blocks, without a gap, that are in the state now. Deletes damaged ones. */
  async #place(frame: StateFrame, file: number, hashes: readonly string[]): Promise<number> {
    if (!this.#rows) return hashes.length;
    const blocks = hashes.map((hash, index) => ({ hash, index }));
    const outcomes = await this.#threads.run(this.#job('place', this.#rows, frame.runs, file, blocks));
    outcomes.forEach((outcome, at) => {
      if (outcome === 'done') this.counters.read++;
      if (outcome === 'damaged') this.#rows?.removeDamaged(hashes[at] ?? '');
    });
    const bad = outcomes.findIndex((outcome) => outcome !== 'done');
    return bad < 0 ? hashes.length : bad;
  }

  #job(
    task: BlockJob['task'],
    { path, seal }: BlockFolder,
    runs: readonly RowRun[],
    stateFile: number,
    blocks: BlockJob['blocks'],
  ): BlockJob {
    const temporary = join(this.#runFolder, 'block.tmp');
    const sizes = { blockTokens: this.blockTokens, stripBytes, partBytes };
    return { task, folder: path, seal, blocks, runs, stateFile, temporary, ...sizes };
  }
}

/** Some tokens of a context, and what is stored of them. */
interface PartToSave {
  /** Indices of blocks. */
  readonly blocks: readonly number[];
  readonly range: TokenRange;
  readonly hasTail: boolean;
}

/** Some blocks of a context, behind others. */
interface PartToPlace {
  /** Number of those before them. */
  readonly blocks: number;
  readonly wanted: number;
  /** Rows of the tail behind them; null for none. */
  readonly tail: Buffer | null;
  readonly lane: PassingState;
  /** Tokens of the state that was checked last at a path of this load. */
  readonly framed: Map<string, number>;
}

interface PlacedPart {
  /** Blocks that are in the state, without a gap. */
  readonly good: number;
  readonly wanted: number;
  readonly tokens: number;
  readonly path: string;
  /** @throws StateFormatError when llama.cpp must not read it. */
  check(): void;
}

/** Two parts are put together, or one of them waits for llama.cpp, and llama.cpp takes one. */
export const lanesOfParts = 3;

const warmUpTokens = 8192;

const stripBytes = 1 << 20;
const partBytes = 128 << 10;
