import { blockHashChain, promptHashes, type PromptHashes } from '../../base/kvBlockHash.ts';
import { assemble, type Assembled } from './tier/assembleState.ts';
import { DiskTier, type DiskTierOptions, type Named } from './tier/diskTier.ts';
import { hashProfile } from './files/kvNamespace.ts';
import { PartLoader, type PartTaker, type TakenParts } from './tier/loadInParts.ts';
import { bufferSource, parseStateFile, stateFrame } from './state/stateFile.ts';
import { StateStore, type SaveState } from './tier/storeState.ts';

/**
 * KV of prompts on disk: the rows of each full block, those of tails behind the last one and, for models that need one, position states at
 * the ends of some blocks. A run of blocks becomes a state file that llama.cpp loads; a state file that it saved is cut into blocks. The state file
 * passes through memory where the system has files in memory, so that the disk sees each byte once.
 */
export class DiskCache extends DiskTier {
  readonly #parts: PartLoader;
  readonly #store: StateStore;

  constructor(options: DiskTierOptions) {
    super(options);
    this.#parts = new PartLoader(this);
    this.#store = new StateStore(this);
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

  /** Whether the state of so many blocks is so large that it had better pass in parts. */
  isWorthParts(blocks: number): boolean {
    return this.cutsAnywhere && this.passing.length >= lanesOfParts && blocks > this.partBlocks;
  }

  /**
   * Assembles the state of the longest run of good leading blocks, at most `maxBlocks`, behind which a prompt can continue; behind all of
   * them, the tail as well. The state takes room until {@link DiskTier.release}.
   *
   * @returns null when there is no such run.
   * @throws Error when the state cannot be written, as on a full disk.
   */
  assemble(named: Named, maxBlocks: number): Promise<Assembled | null> {
    return assemble(this, named, maxBlocks);
  }

  /**
   * Has llama.cpp take the longest run of good leading blocks, at most `maxBlocks`, part by part: whatever the size of the state, it takes the
   * memory of three parts, and the next two are read and checked while llama.cpp takes one. Behind all of the blocks, the tail as well.
   *
   * @param blocksThere what {@link DiskTier.reach} says.
   * @returns null when there is no good block; nothing has changed then.
   * @throws what the taker throws, after which nobody knows what llama.cpp holds; Error when the first part cannot be written, and nothing has changed.
   */
  loadInParts(
    named: Named,
    maxBlocks: number,
    taker: PartTaker,
    blocksThere = this.reach(named.hashes, maxBlocks),
  ): Promise<TakenParts | null> {
    return this.#parts.load(named, maxBlocks, taker, blocksThere);
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
  store(named: Named, savedTokens: number, save: SaveState, savesParts = false): Promise<boolean> {
    return this.#store.store(named, savedTokens, save, savesParts);
  }

  /** Deletes blocks, or a tail, that llama.cpp could not take. */
  discard(hashes: readonly string[]): void {
    const last = hashes.at(-1);
    if (this.positions && last !== undefined) this.positions.remove(last);
    for (const hash of hashes) this.rows?.remove(hash);
  }
}

/** Two parts are put together, or one of them waits for llama.cpp, and llama.cpp takes one. */
export const lanesOfParts = 3;

const warmUpTokens = 8192;
