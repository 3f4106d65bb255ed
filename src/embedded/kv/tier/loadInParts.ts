import { ftruncateSync } from 'node:fs';
import type { DiskTier, Named } from './diskTier.ts';
import type { PassingState } from '../state/passingState.ts';
import { placeRows, placeTail, readTail } from './placeRows.ts';
import { idsWithoutRows, parseStateFile, stateFrame } from '../state/stateFile.ts';
import { fileSource, writeAll } from '../files/wholeCalls.ts';

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

/** Has llama.cpp take states part by part. */
export class PartLoader {
  readonly #tier: DiskTier;
  /** When the last part was there. */
  #placedUntilMs = 0;

  constructor(tier: DiskTier) {
    this.#tier = tier;
  }

  /** As `DiskCache.loadInParts`. */
  async load(named: Named, maxBlocks: number, taker: PartTaker, blocksThere: number): Promise<TakenParts | null> {
    const { ids, hashes, tail } = named;
    let reach = blocksThere;
    let tailRows = tail !== null && reach === maxBlocks ? readTail(this.#tier, ids, tail) : null;
    let [blocks, tokens, failure]: [number, number, Error | null] = [0, 0, null];
    let taking: Promise<void> = Promise.resolve();
    let part = 0;
    const framed = new Map<string, number>();
    let begun = 0;
    /** The parts that come next. */
    const placing: Promise<PlacedPart>[] = [];
    const beginNext = (): void => {
      if (begun >= reach) return;
      const wanted = Math.min(this.#tier.partBlocks, reach - begun);
      const partTail = begun + wanted === maxBlocks ? tailRows : null;
      const next = this.#placePart(named, {
        blocks: begun,
        wanted,
        tail: partTail,
        lane: this.#tier.lane(part++),
        framed,
      });
      // Awaited when its turn has come.
      next.catch(() => undefined);
      placing.push(next);
      begun += wanted;
    };
    await this.#tier.sums.pause();
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
      const last = await this.#tier.lane(0).place(bytes.length);
      ftruncateSync(last.open(), bytes.length);
      writeAll(last.open(), bytes, 0);
      await taker.adopt(last.path, tokens);
      return { blocks, tokens, failure };
    } finally {
      await Promise.allSettled(placing);
      this.#tier.releaseSoon();
      this.#tier.sums.resume();
    }
  }

  /** Puts the state of some blocks behind others together, as far as they are good. */
  async #placePart({ ids, hashes }: Named, { blocks, wanted, tail, lane, framed }: PartToPlace): Promise<PlacedPart> {
    const startedMs = performance.now();
    const from = blocks * this.#tier.blockTokens;
    const tokens = wanted * this.#tier.blockTokens + (tail ? this.#tier.tailTokens(ids) : 0);
    const frame = stateFrame(this.#tier.shape.rows, ids.slice(from, from + tokens), undefined, from);
    const state = await lane.place(frame.sizeBytes);
    const file = state.open();
    // The part before had another size. Its pages are used again, which takes a quarter of the time of new ones.
    ftruncateSync(file, frame.sizeBytes);
    // What lies between the rows is that of the part before, where that had as many tokens.
    const isFramed = framed.get(state.path) === tokens;
    for (const { offset, bytes } of isFramed ? frame.pieces.slice(0, 1) : frame.pieces) writeAll(file, bytes, offset);
    if (tail) placeTail(this.#tier, frame, file, tail, wanted * this.#tier.blockTokens);
    const good = await placeRows(this.#tier, frame, file, hashes.slice(blocks, blocks + wanted));
    // Of two parts at once, each moment counts once.
    const endedMs = performance.now();
    this.#tier.counters.placeMs += endedMs - Math.max(startedMs, this.#placedUntilMs);
    this.#placedUntilMs = endedMs;
    // llama.cpp gets checked states only, whatever made them.
    const check = (): void => {
      if (!isFramed) parseStateFile(fileSource(file), this.#tier.shape, { from, namesSequence: true });
      framed.set(state.path, tokens);
    };
    return { good, wanted, tokens, path: state.path, check };
  }
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
