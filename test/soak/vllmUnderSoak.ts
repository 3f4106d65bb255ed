import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import type { IdsFact } from './facts.ts';
import { flipBit, isOf } from './flipBit.ts';
import type { ModelServer } from './modelServer.ts';
import type { Random } from './random.ts';

/** A vLLM without a model: it knows of every request whether the blocks that it reused were right. */
export class VllmUnderSoak implements ModelServer {
  readonly mayRefuse = [];
  readonly mayJudge = [];
  readonly hasProcesses = false;
  readonly #fake: FakeVllm;
  readonly #tierDir: string | null;

  private constructor(fake: FakeVllm, tierDir: string | null) {
    this.#fake = fake;
    this.#tierDir = tierDir;
  }

  static async start(kv: 'memory' | 'files in sight'): Promise<VllmUnderSoak> {
    const tierDir = kv === 'files in sight' ? mkdtempSync(join(tmpdir(), 'cwm-soak-tier-')) : null;
    return new VllmUnderSoak(await FakeVllm.start(tierDir === null ? {} : { tier: { rootDir: tierDir } }), tierDir);
  }

  get spec(): string {
    return this.#tierDir === null ? this.#fake.url : `${this.#fake.url}#tier=${this.#tierDir}`;
  }

  get damagesFiles(): boolean {
    return this.#tierDir !== null;
  }

  async evict(): Promise<void> {
    this.#fake.evictAll();
  }

  killBelow(): number {
    return 0;
  }

  damage(random: Random, hashes: readonly string[]): boolean {
    if (this.#tierDir === null || hashes.length === 0) return false;
    return flipBit(random, this.#fake.blockPath(random.pick(hashes))) !== null;
  }

  falseProof({ verdict, cachedTokens }: Receipt, ids: IdsFact): string | null {
    if (verdict !== 'proven') return null;
    const asked = this.#fake.served.findLast(
      ({ promptIds, reusedTokens }) => reusedTokens === cachedTokens && isOf(ids, promptIds),
    );
    if (!asked) return `a false proof: no request over these ids reused ${cachedTokens} tokens`;
    return asked.isReusedRight() ? null : `a false proof: the ${cachedTokens} tokens that were reused are not those`;
  }

  async stop(): Promise<void> {
    await this.#fake.stop();
    if (this.#tierDir !== null) rmSync(this.#tierDir, { recursive: true, force: true });
  }
}
