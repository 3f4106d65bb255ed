/** What a subscription hands on. */
export interface EventSink {
  /** A connection was made: what was published before it is not known. */
  connected(): void;
  /** A whole message, part by part: topic, sequence number, batch. */
  message(parts: readonly Uint8Array[]): void;
}

/** Where a server's events about its KV blocks come from. */
export interface EventSource {
  start(sink: EventSink): void;
  /** Null once events arrive; else why they do not. Waits 2 s at most. */
  ready(): Promise<string | null>;
  close(): void;
}
