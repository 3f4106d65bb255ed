/** One file of the embedded engine's block store. */
export interface CachedBlock {
  /** The block's name: its hash in the chain. Two models, or two versions of llama.cpp, may each have a file of one name. */
  readonly hash: string;
  /** Which of them this one is of. */
  readonly namespace: string;
  /** Whether it is the model's whole state at the block's end, which some models need beside the block, or instead of it. */
  readonly isState?: boolean;
  readonly sizeBytes: number;
  /** When it was written; reading it leaves no trace. */
  readonly writtenAtMs: number;
}

export interface CacheSizes {
  readonly blockBytes: number;
  /** All else that the embedded engine keeps there: generated models, passing files. */
  readonly otherBytes: number;
}

/**
 * The KV blocks that the embedded engine keeps below the storage directory: a cache, of which anything may go at any time. An
 * engine that runs meanwhile takes a block that is gone for a miss and computes it again.
 *
 * All methods throw `CwmError`: WriteFailed, ReadFailed, AccessDenied when a directory is a link, Cancelled when `signal` was aborted.
 */
export interface BlockCache {
  /** As the files say it. Directories in which nothing changed are not looked through again. */
  sizes(signal: AbortSignal): Promise<CacheSizes>;
  /** Every block file, in no order. */
  list(signal: AbortSignal): Promise<CachedBlock[]>;
  /** One that is gone already is no error. @returns the bytes that this freed. */
  delete(blocks: readonly CachedBlock[]): Promise<number>;
}
