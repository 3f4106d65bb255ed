/** Sizes of the files. A file with several names, like a message of a clone, counts once. */
export interface StorageSizes {
  /** Sessions, windows and their files, which cannot be computed again. */
  readonly recordBytes: number;
  /** Of `recordBytes`, those of each window. */
  readonly windowBytes: ReadonlyMap<string, number>;
  /** Of `recordBytes`, those of each session. A message that several have counts with one of them. */
  readonly sessionBytes: ReadonlyMap<string, number>;
  /** The bytes that emptying the trash would free. */
  readonly trashBytes: number;
  readonly quarantineBytes: number;
  /** Index, logs, unfinished writes; nothing of the KV cache. */
  readonly otherBytes: number;
}

export interface SpaceStore {
  /** Looks at every file: about 5 µs each. */
  measure(signal: AbortSignal): Promise<StorageSizes>;
  /** Bytes that may still be written to the disk; null where the system does not tell. */
  freeBytes(): Promise<number | null>;
  /** Whether the machine's clock can be trusted enough to remove something for its age. False for a day after the first start, and after a jump. */
  isClockSteady(): Promise<boolean>;
}
