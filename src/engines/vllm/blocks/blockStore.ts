import { blockHashChain, promptHashes, type PromptHashes } from '../../../base/kvBlockHash.ts';
import type { BlockLocation, KvContext, LocatedBlock } from '../../../core/ports/engine.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { HashProfile } from '../../../protocol/schemas/window.ts';
import {
  assertBlockHash,
  checksumBlock,
  deleteBlock,
  statBlock,
  unlessUnreadable,
  type BlockLayout,
  type ChecksumOf,
} from '../../files/blockFile.ts';
import { embeddedLayout } from './embeddedLayout.ts';
import { FsTierLayout } from './fsTierLayout.ts';
import { candidateHashProfiles } from '../hashProfile.ts';
import { mapBounded } from '../../../base/mapBounded.ts';
import type { ServerIdentity } from '../serverIdentity.ts';

/** vLLM's file tier on a disk that this machine reaches. */
export interface BlockFilesOptions {
  /** The tier's `root_dir`. */
  readonly rootDir: string;
  /** Values of the server's PYTHONHASHSEED to try besides vLLM's default. */
  readonly hashSeeds?: readonly string[];
}

const statsAtOnce = 16;
const filesAtOnce = 4;

interface Reachable {
  readonly layout: BlockLayout;
  readonly blockTokens: number;
  readonly stride: number;
  /** Null where it is not known. */
  readonly blocksPerFile: number | null;
  readonly hasRecord: boolean;
  /** Whether the tokens behind the last reusable block may have a file of their own, after the blocks. It is located where it is there. */
  readonly hasTails: boolean;
}
type Unreachable = { readonly why: string };

/** The block files of one server in its present configuration. Reads the disk only, never asks the server. */
export class BlockStore {
  readonly #identity: ServerIdentity;
  readonly #options: BlockFilesOptions | undefined;
  #found: HashProfile | null = null;
  #settled = false;

  constructor(identity: ServerIdentity, options: BlockFilesOptions | undefined) {
    this.#identity = identity;
    this.#options = options;
  }

  /** How blocks are named: as the files show once one was found, else as the server's version and settings suggest. */
  get hashProfile(): HashProfile | null {
    return this.#found ?? this.#identity.description.hashProfile;
  }

  /** How many blocks a file takes; where no record in the folder says it, or several say otherwise: whether there is one in reach. */
  async blocksPerFile(): Promise<number | 'no-record' | 'unclear'> {
    const place = await this.#openIfReadable();
    if ('why' in place) return 'no-record';
    return place.blocksPerFile ?? (place.hasRecord ? 'unclear' : 'no-record');
  }

  async locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    const place = await this.#openIfReadable();
    return 'why' in place
      ? { reachable: false, why: place.why }
      : unlessUnreadable(place.layout, () => this.#locateIn(place, context, signal));
  }

  async #locateIn(place: Reachable, context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    const names = await this.#name(place, context);
    if (names === null) return { reachable: false, why: 'It is not known how this server names its blocks.' };
    const blocks = await this.#stat(place.layout, names.blocks, signal);
    if (names.tail !== null && place.hasTails) {
      const tail = await this.#stat(place.layout, [names.tail], signal);
      return { reachable: true, blocks: [...blocks, ...tail.filter(({ stat }) => stat !== null)] };
    }
    if (!place.layout.isSparse) return { reachable: true, blocks };
    // An engine always computes the last token, so a request continues before the block that ends with it.
    const needed = Math.floor((context.ids.length - 1) / place.blockTokens) - 1;
    return { reachable: true, blocks: blocks.filter(({ stat }, index) => index === needed || stat !== null) };
  }

  /** Reads the stat of these blocks again. */
  async restat(hashes: readonly string[], signal: AbortSignal): Promise<LocatedBlock[]> {
    const place = await this.#open();
    return 'why' in place ? hashes.map((hash) => ({ hash, stat: null })) : this.#stat(place.layout, hashes, signal);
  }

  async checksum(hashes: readonly string[], of: ChecksumOf, signal: AbortSignal): Promise<(string | null)[]> {
    hashes.forEach(assertBlockHash);
    const place = await this.#open();
    if ('why' in place) return hashes.map(() => null);
    return mapBounded(hashes, filesAtOnce, (hash) => checksumBlock(place.layout, hash, of, signal), signal);
  }

  async forget(hashes: readonly string[], signal: AbortSignal): Promise<number> {
    hashes.forEach(assertBlockHash);
    const place = await this.#open();
    if ('why' in place) return 0;
    const freedBytes = await mapBounded(hashes, filesAtOnce, (hash) => deleteBlock(place.layout, hash), signal);
    return freedBytes.reduce((a, b) => a + b, 0);
  }

  #stat(layout: BlockLayout, hashes: readonly string[], signal: AbortSignal): Promise<LocatedBlock[]> {
    return mapBounded(hashes, statsAtOnce, async (hash) => ({ hash, stat: await statBlock(layout, hash) }), signal);
  }

  async #openIfReadable(): Promise<Reachable | Unreachable> {
    try {
      return await this.#open();
    } catch (error) {
      if (isCwmError(error, 'ReadFailed')) return { why: error.message };
      throw error;
    }
  }

  async #open(): Promise<Reachable | Unreachable> {
    const { description, blockDir, blockFiles } = this.#identity;
    const { blockTokens } = description;
    if (description.kind === 'embedded') {
      if (blockDir === null)
        return { why: 'The engine does not say where its block files are, or runs on another machine.' };
      if (blockTokens === null) return { why: 'The engine does not say how many tokens a block has.' };
      const hasTails = blockFiles === 'rows';
      return {
        layout: embeddedLayout(blockDir, blockFiles),
        blockTokens,
        stride: 1,
        hasTails,
        blocksPerFile: 1,
        hasRecord: false,
      };
    }
    if (!this.#options) return { why: "No folder of vLLM's file tier is set for this server." };
    const { rootDir } = this.#options;
    const layout = await FsTierLayout.open(rootDir, description.model.root, blockTokens);
    if (!layout) return { why: `The folder ${rootDir} is not there.` };
    const tokens = blockTokens ?? layout.blockTokens;
    if (tokens === null) return { why: 'The server does not say how many tokens a block has.' };
    const { stride, blocksPerFile, hasRecord } = layout;
    return { layout, blockTokens: tokens, stride, hasTails: false, blocksPerFile, hasRecord };
  }

  /** The hashes under the right profile: the one whose first file exists, or the expected one while there is no file. */
  async #name(place: Reachable, { ids, salt }: KvContext): Promise<PromptHashes | null> {
    const { description } = this.#identity;
    const chain = (profile: HashProfile, length: number): string[] =>
      blockHashChain(profile, ids.slice(0, length), place.blockTokens, salt).filter(
        (_, index) => (index + 1) % place.stride === 0,
      );
    if (description.kind === 'embedded') {
      return this.hashProfile && promptHashes(this.hashProfile, ids, place.blockTokens, salt);
    }
    const inFiles = (profile: HashProfile): PromptHashes => ({ blocks: chain(profile, ids.length), tail: null });
    if (this.#settled) return this.hashProfile && inFiles(this.hashProfile);
    const expected = description.hashProfile;
    const first = place.blockTokens * place.stride;
    for (const profile of candidateHashProfiles(expected, description.version, this.#options?.hashSeeds ?? [])) {
      const [hash] = chain(profile, first);
      if (hash === undefined || !(await statBlock(place.layout, hash))) continue;
      this.#found = profile;
      // Files of an older server may fit another profile: only a file of the expected one settles the question.
      this.#settled = expected !== null && profile === expected;
      return inFiles(profile);
    }
    return expected && inFiles(expected);
  }
}
