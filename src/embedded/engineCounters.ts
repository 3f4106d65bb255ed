/** Where a prompt token's KV came from: computed now, left in llama.cpp's memory, or read from block files. */
export type TokenSource = 'computed' | 'device' | 'disk';

/** Counts since the engine started; `/metrics` shows them. */
export class EngineCounters {
  readonly promptTokens: Record<TokenSource, number> = { computed: 0, device: 0, disk: 0 };
  generatedTokens = 0;
  readonly finishedRequests: Record<'stop' | 'length' | 'abort' | 'error', number> = {
    stop: 0,
    length: 0,
    abort: 0,
    error: 0,
  };
  running = 0;
  waiting = 0;
}
