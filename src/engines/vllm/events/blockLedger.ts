import { readBatch, type BlockEvent } from './blockEvent.ts';
import type { EventSink } from './eventSource.ts';

type Stored = Extract<BlockEvent, { type: 'stored' }>;

/** A block that was announced for a request. */
interface Announced {
  readonly parent: string | null;
  readonly ids: readonly number[];
  readonly keys: readonly unknown[];
  /** It was announced before, and not removed since: the server did not compute it for this request. */
  readonly wasThere: boolean;
}

/** The expected blocks of a context. */
export interface ExpectedBlocks {
  /** Whole hashes, first block first. */
  readonly hashes: readonly string[];
  readonly ids: readonly number[];
  readonly blockTokens: number;
  readonly salt: string;
}

/** The result of the events of one request. */
export interface AnnouncedReuse {
  /** Number of leading blocks that were announced for the request, with the right hashes, tokens and salt. */
  readonly announced: number;
  /** Number of leading blocks among them that the server had before. */
  readonly reused: number;
  /** Whether all events since the server's start were received, so that an unknown block did not exist. */
  readonly isComplete: boolean;
  /** The server has announced a block on the device and in a tier beyond it, by one name: its tiers announce what they have. */
  readonly announcesTiers: boolean;
  /** The model has layers of several kinds. A block may be lost in one of them alone: `reused` is then only a limit. */
  readonly hasGroups: boolean;
}

/**
 * The KV blocks that a server has, by its own events. vLLM announces reused and newly computed blocks of a request in the same form, so
 * that only earlier announcements tell them apart. A gap in the sequence may hide a removal: after one, nothing is known.
 */
export class BlockLedger implements EventSink {
  readonly #onDevice = new GroupedHashes();
  readonly #inTiers = new GroupedHashes();
  #announcesTiers = false;
  #next: bigint | null = null;
  #isComplete = false;
  /** By nonce, only of requests that are being measured. */
  readonly #watched = new Map<string, Map<string, Announced>>();
  #onChange: () => void = () => undefined;

  connected(): void {
    this.#forget(null);
  }

  message(parts: readonly Uint8Array[]): void {
    const batch = readBatch(parts);
    if (batch === null) {
      this.#forget(null);
      return;
    }
    if (batch.sequence === 0n || batch.sequence !== this.#next) this.#forget(batch.sequence);
    this.#next = batch.sequence + 1n;
    for (const event of batch.events) this.#apply(event);
    this.#onChange();
  }

  watch(nonce: string, onChange: () => void): void {
    this.#watched.set(nonce, new Map());
    this.#onChange = onChange;
  }

  unwatch(nonce: string): void {
    this.#watched.delete(nonce);
    this.#onChange = () => undefined;
  }

  reuseOf(nonce: string, { hashes, ids, blockTokens, salt }: ExpectedBlocks): AnnouncedReuse {
    const blocks = this.#watched.get(nonce);
    let announced = 0;
    let reused = 0;
    for (const [index, hash] of hashes.map(shortened).entries()) {
      const block = blocks?.get(hash);
      const expectedIds = ids.slice(index * blockTokens, (index + 1) * blockTokens);
      const parent = index === 0 ? null : shortened(hashes[index - 1] ?? '');
      if (!block || block.parent !== parent || !isSame(block.ids, expectedIds)) break;
      if (index === 0 && !hasSalt(block.keys, salt)) break;
      if (block.wasThere && reused === announced) reused++;
      announced++;
    }
    const hasGroups = this.#onDevice.count > 1 || this.#inTiers.count > 1;
    return { announced, reused, isComplete: this.#isComplete, announcesTiers: this.#announcesTiers, hasGroups };
  }

  /** @param sequence of the first batch that arrives from now on; null while none has arrived. */
  #forget(sequence: bigint | null): void {
    this.#onDevice.clear();
    this.#inTiers.clear();
    this.#announcesTiers = false;
    for (const blocks of this.#watched.values()) blocks.clear();
    this.#isComplete = sequence === 0n;
    this.#next = null;
  }

  #apply(event: BlockEvent): void {
    if (event.type === 'cleared') {
      this.#onDevice.clear();
      this.#inTiers.clear();
    } else if (event.type === 'removed') {
      const place = event.isOnDevice ? this.#onDevice : this.#inTiers;
      place.delete(event.group, event.hashes);
    } else this.#store(event);
  }

  #store(event: Stored): void {
    const { hashes, session, ids, blockTokens, isOnDevice, group } = event;
    const blocks = isOnDevice && session !== null ? this.#watched.get(session) : undefined;
    hashes.forEach((hash, index) => {
      // When a block is announced twice for one request, the first time decides: the second one finds the block of the first one.
      if (blocks && !blocks.has(hash))
        blocks.set(hash, {
          parent: index === 0 ? event.parent : (hashes[index - 1] ?? null),
          ids: ids.slice(index * blockTokens, (index + 1) * blockTokens),
          keys: index === 0 ? event.firstKeys : [],
          wasThere: this.#onDevice.has(hash) || this.#inTiers.has(hash),
        });
    });
    const place = isOnDevice ? this.#onDevice : this.#inTiers;
    place.add(group, hashes);
    // LMCache inside vLLM announces pieces, by names of its own.
    const other = isOnDevice ? this.#inTiers : this.#onDevice;
    this.#announcesTiers ||= hashes.some((hash) => other.has(hash));
  }
}

/** A block of a model with layers of several kinds is there as long as one of them has it: at most that much is reused. */
class GroupedHashes {
  readonly #groups = new Map<number, Set<string>>();

  add(group: number, hashes: readonly string[]): void {
    const known = this.#groups.get(group) ?? new Set();
    this.#groups.set(group, known);
    for (const hash of hashes) known.add(hash);
  }

  delete(group: number, hashes: readonly string[]): void {
    const known = this.#groups.get(group);
    for (const hash of hashes) known?.delete(hash);
  }

  has(hash: string): boolean {
    return [...this.#groups.values()].some((known) => known.has(hash));
  }

  get count(): number {
    return this.#groups.size;
  }

  clear(): void {
    this.#groups.clear();
  }
}

const shortened = (hash: string): string => hash.slice(-16);
const isSame = (one: readonly number[], two: readonly number[]): boolean =>
  one.length === two.length && one.every((id, index) => id === two[index]);

/** The salt bare, or with its name: versions differ. */
const hasSalt = (keys: readonly unknown[], salt: string): boolean => keys.flat().includes(salt);
