import type { FakeBlock } from './fakeScheduler.ts';

/**
 * vLLM's ExampleConnector: keeps each prompt's whole blocks under the prompt's text alone, whatever its salt. It looks for one
 * token less than it keeps, so that a prompt of whole blocks and one token is never found (seen on vLLM 0.32).
 */
export class FakeExampleConnector {
  readonly #kept = new Map<string, readonly FakeBlock[]>();
  readonly #blockTokens: number;

  constructor(blockTokens: number) {
    this.#blockTokens = blockTokens;
  }

  keep(ids: readonly number[], blocks: readonly FakeBlock[]): void {
    const count = Math.floor((ids.length - 1) / this.#blockTokens);
    this.#kept.set(this.#name(ids, count), blocks.slice(0, count));
  }

  find(ids: readonly number[]): readonly FakeBlock[] {
    return this.#kept.get(this.#name(ids, Math.floor((ids.length - 2) / this.#blockTokens))) ?? [];
  }

  #name(ids: readonly number[], blocks: number): string {
    return ids.slice(0, blocks * this.#blockTokens).join(',');
  }
}
