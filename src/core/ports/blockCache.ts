/** One file of the embedded engine's block store. */
export interface CachedBlock {
  /** The block's name: its hash in the chain. Two models, or two versions of llama.cpp, may each have a file of one name. */
  readonly hash: string;
  /** The model and version that this file belongs to. */
  readonly namespace: string;
  /** Whether the file holds the model's whole state at the block's end, which some models need beside the block, or instead of it. */
  readonly isState?: boolean;
  readonly sizeBytes: number;
  /** When it was written. Reading a file changes no time. */
  readonly writtenAtMs: number;
}

export interface CacheSizes {
  readonly blockBytes: number;
  /** The embedded engine's other files there: generated models, temporary files. */
  readonly otherBytes: number;
}

/**
 * The KV blocks of the embedded engine below the storage directory: a cache, so any block may be deleted at any time. A running engine
 * treats a deleted block as a miss and computes it again.
 *
 * All methods throw `CwmError`: WriteFailed, ReadFailed, AccessDenied when a directory is a link, Cancelled when `signal` was aborted.
 */
export interface BlockCache {
  /** Read from the files. Directories that did not change are not listed again. */
  sizes(signal: AbortSignal): Promise<CacheSizes>;
  /** Every block file, in no order. */
  list(signal: AbortSignal): Promise<CachedBlock[]>;
  /** A file that is already gone is no error. @returns the bytes that this freed. */
  delete(blocks: readonly CachedBlock[]): Promise<number>;
}
