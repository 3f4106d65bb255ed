/** A message of a subscription. */
export interface EventSink {
  /** A new connection: earlier messages are not known. */
  connected(): void;
  /** A whole message, part by part: topic, sequence number, batch. */
  message(parts: readonly Uint8Array[]): void;
}

/** A source of a server's events about its KV blocks. */
export interface EventSource {
  start(sink: EventSink): void;
  /** Null once events arrive; else why they do not. Waits 2 s at most. */
  ready(): Promise<string | null>;
  close(): void;
}
