import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { LlamaContextSequence } from 'node-llama-cpp';
import { canCut } from '../kv/state/kvLayout.ts';
import { bufferSource, idsWithoutRows, parseStateFile, stateFrame, type StateFile } from '../kv/state/stateFile.ts';

/** llama.cpp's calls about sequences below node-llama-cpp's, which has no public ones for a part of a sequence. */
interface SequenceCalls {
  /** Replaces what the sequence holds; the rows of others stay. */
  loadSequenceStateFromFile(path: string, sequence: number, mostTokens: number): Promise<Uint32Array>;
  saveSequenceStateToFile(path: string, sequence: number, tokens: Uint32Array): Promise<number>;
  /** Adds the rows of `source` to those of `target`. Both share them: nothing is copied. */
  copySequenceStateFromOtherSequence(target: number, source: number): Promise<number>;
  /** From `start` to before `end`; −1: to the end. */
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  getSequenceKvCacheMaxPosition(sequence: number): number;
}

/** The only sequence that computes. */
const own = 0;
/** A name for some rows of it: a context for one sequence keeps the rows of all in one place. */
const part = 1;

/**
 * Loads and saves a part of llama.cpp's sequence, which its own calls do only as a whole: a part is loaded as another sequence, whose rows the
 * sequence then takes over, and saved as another sequence that shares rows with it.
 */
export class StateParts {
  readonly #sequence: LlamaContextSequence;
  readonly #calls: SequenceCalls;

  /** Null where this node-llama-cpp has no such calls. */
  static of(sequence: LlamaContextSequence): StateParts | null {
    const calls: unknown = Reflect.get(sequence.context, '_ctx');
    const names = ['loadSequenceStateFromFile', 'saveSequenceStateToFile', 'copySequenceStateFromOtherSequence'];
    const hasAll = names.every((name) => typeof Reflect.get(Object(calls), name) === 'function');
    return hasAll ? new StateParts(sequence, calls as SequenceCalls) : null;
  }

  private constructor(sequence: LlamaContextSequence, calls: SequenceCalls) {
    this.#sequence = sequence;
    this.#calls = calls;
  }

  async append(path: string, isFirst: boolean): Promise<void> {
    if (isFirst) await this.#clear();
    await this.#calls.loadSequenceStateFromFile(path, part, this.#sequence.contextSize);
    await this.#calls.copySequenceStateFromOtherSequence(own, part);
    this.#calls.removeTokenCellsFromSequence(part, 0, -1);
  }

  async adopt(path: string): Promise<number> {
    await this.#sequence.loadStateFromFile(path, { acceptRisk: true });
    const tokens = this.#sequence.nextTokenIndex;
    if (this.#calls.getSequenceKvCacheMaxPosition(own) !== tokens - 1)
      throw new Error('The parts are not the sequence.');
    return tokens;
  }

  /** Saves the tokens `from` to before `to`. */
  async save(path: string, from: number, to: number): Promise<void> {
    const tokens = Uint32Array.from(this.#sequence.contextTokens.slice(from, to));
    try {
      await this.#calls.copySequenceStateFromOtherSequence(part, own);
      if (from > 0) this.#calls.removeTokenCellsFromSequence(part, 0, from);
      this.#calls.removeTokenCellsFromSequence(part, to, -1);
      await this.#calls.saveSequenceStateToFile(path, part, tokens);
    } finally {
      // Rows that kept this name after a failed save would take room in the context that nobody frees.
      this.#calls.removeTokenCellsFromSequence(part, 0, -1);
    }
  }

  /**
   * Whether a state that is loaded in two parts is saved as it was, byte for byte, and a part from its middle has the same rows. Leaves an empty
   * sequence.
   *
   * @param samplePath the saved state of the sequence.
   */
  async work(samplePath: string): Promise<boolean> {
    const path = `${samplePath}.part`;
    try {
      const sample = readFileSync(samplePath);
      const state = parseStateFile(bufferSource(sample), null);
      const { ids, shape } = state;
      if (!canCut(shape) || ids.length < 2) return false;
      const half = ids.length >> 1;
      writeFileSync(path, partOf(sample, state, 0, half));
      await this.append(path, true);
      writeFileSync(path, partOf(sample, state, half, ids.length));
      await this.append(path, false);
      writeFileSync(path, idsWithoutRows(ids));
      await this.adopt(path);
      await this.#sequence.saveStateToFile(path);
      if (!readFileSync(path).equals(sample)) return false;
      const [from, to] = [half >> 1, ids.length - (half >> 1)];
      await this.save(path, from, to);
      const saved = readFileSync(path);
      const middle = parseStateFile(bufferSource(saved), shape, { from, namesSequence: false });
      return middle.runs.every(({ offset, rowBytes }, run) => {
        const start = (state.runs[run]?.offset ?? 0) + from * rowBytes;
        const bytes = (to - from) * rowBytes;
        return saved.subarray(offset, offset + bytes).equals(sample.subarray(start, start + bytes));
      });
    } catch {
      return false;
    } finally {
      rmSync(path, { force: true });
      await this.#clear();
    }
  }

  async #clear(): Promise<void> {
    await this.#sequence.clearHistory();
    for (const sequence of [own, part]) this.#calls.removeTokenCellsFromSequence(sequence, 0, -1);
  }
}

/** The state of some of its tokens. */
function partOf(whole: Buffer, { ids, shape, runs }: StateFile, from: number, to: number): Buffer {
  const frame = stateFrame(shape.rows, ids.slice(from, to), undefined, from);
  const bytes = Buffer.alloc(frame.sizeBytes);
  for (const piece of frame.pieces) bytes.set(piece.bytes, piece.offset);
  frame.runs.forEach(({ offset, rowBytes }, run) => {
    const start = runs[run]?.offset ?? 0;
    whole.copy(bytes, offset, start + from * rowBytes, start + to * rowBytes);
  });
  return bytes;
}
