import { encode } from '@msgpack/msgpack';
import type { EventSink, EventSource } from '../../src/engines/vllm/events/eventSource.ts';
import type { FakeFaults } from './fakeFaults.ts';

interface Run {
  readonly hashes: readonly string[];
  /** Of these, from the first on: had by the device, or loaded from the tier. */
  readonly reused: number;
  readonly loaded: readonly string[];
  readonly ids: readonly number[];
  readonly blockTokens: number;
  readonly salt: string | null;
}

/** vLLM's events about its KV blocks, as a real 0.32 publishes them, handed on without a socket. */
export class FakeBlockEvents implements EventSource {
  readonly #faults: FakeFaults;
  #sink: EventSink | null = null;
  #sequence = 0n;
  #session: string | null = null;
  #isFull = false;

  constructor(faults: FakeFaults) {
    this.#faults = faults;
  }

  start(sink: EventSink): void {
    this.#sink = sink;
    sink.connected();
  }

  ready(): Promise<null> {
    return Promise.resolve(null);
  }

  close(): void {
    this.#sink = null;
  }

  /** Another process counts from 0. */
  restart(): void {
    this.#sequence = 0n;
    this.#sink?.connected();
  }

  /** Of the next request. */
  begin(session: string | null, mode: unknown): void {
    this.#session = session;
    this.#isFull = mode === 'full';
  }

  ran({ hashes, reused, loaded, ids, blockTokens, salt }: Run): void {
    for (const hash of loaded) this.offloaded([hash]);
    const stored = (from: number, to: number): object => ({
      type: 'BlockStored',
      block_hashes: hashes.slice(from, to).map((hash) => this.#named(hash)),
      parent_block_hash: from === 0 ? null : this.#named(hashes[from - 1] ?? ''),
      token_ids: ids.slice(from * blockTokens, to * blockTokens),
      block_size: blockTokens,
      medium: 'GPU',
      group_idx: 0,
      extra_keys: hashes.slice(from, to).map((_, index) => (from + index === 0 && salt !== null ? [salt] : null)),
      session_id: this.#faults.events === 'of another request' ? 'another' : this.#session,
    });
    const runs = [
      ...(this.#isFull && reused > 0 && this.#faults.events !== 'not of reuse' ? [stored(0, reused)] : []),
      ...(reused < hashes.length ? [stored(reused, hashes.length)] : []),
    ];
    if (runs.length > 0) this.#publish(runs);
  }

  /** In the tier, as blocks come there or are loaded from there. */
  offloaded(hashes: readonly string[]): void {
    if (hashes.length === 0 || this.#faults.events === 'not of tiers') return;
    const stored = { type: 'BlockStored', token_ids: [], block_size: 0, medium: 'CPU', group_idx: 0 };
    this.#publish(hashes.map((hash) => ({ ...stored, block_hashes: [wire(hash)] })));
  }

  removed(hashes: readonly string[]): void {
    if (hashes.length > 0) this.#publish([{ type: 'BlockRemoved', block_hashes: hashes.map(wire), medium: 'GPU' }]);
  }

  #publish(events: readonly object[]): void {
    const sequence = Buffer.alloc(8);
    sequence.writeBigUInt64BE(this.#sequence++);
    if (this.#faults.events === 'lost') return;
    this.#sink?.message([Buffer.alloc(0), sequence, encode([1, events, 0], { useBigInt64: true })]);
  }

  #named(hash: string): bigint {
    return wire(
      this.#faults.events === 'with other hashes' ? `${hash.slice(0, -1)}${hash.endsWith('0') ? '1' : '0'}` : hash,
    );
  }
}

const wire = (hash: string): bigint => BigInt(`0x${hash.slice(-16)}`);
