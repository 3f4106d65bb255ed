import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import type { IdsFact } from './facts.ts';
import type { Random } from './random.ts';

/** Where a field's model server keeps KV: in memory alone, or in files that the clients see, some of which are damaged between rounds. */
export type KvPlace = 'memory' | 'files in sight';

/** The model server of a field. It knows what it truly reused, so that it can tell a false proof from a true one. */
export class ModelServer {
  readonly #fake: FakeVllm;
  readonly #tierDir: string | null;

  private constructor(fake: FakeVllm, tierDir: string | null) {
    this.#fake = fake;
    this.#tierDir = tierDir;
  }

  static async start(kv: KvPlace): Promise<ModelServer> {
    const tierDir = kv === 'files in sight' ? mkdtempSync(join(tmpdir(), 'cwm-soak-tier-')) : null;
    return new ModelServer(await FakeVllm.start(tierDir === null ? {} : { tier: { rootDir: tierDir } }), tierDir);
  }

  /** As clients name it. */
  get spec(): string {
    return this.#tierDir === null ? this.#fake.url : `${this.#fake.url}#tier=${this.#tierDir}`;
  }

  /** Loses what is in memory. */
  evict(): void {
    this.#fake.evictAll();
  }

  /** Flips a bit of one of these blocks' files. @returns whether there was a file. */
  damage(random: Random, hashes: readonly string[]): boolean {
    if (this.#tierDir === null || hashes.length === 0) return false;
    const path = this.#fake.blockPath(random.pick(hashes));
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      // A prune or a repair deleted it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    writeFileSync(path, bytes);
    return true;
  }

  /** What is wrong with the proof in a receipt; null when nothing is. @param ids of the window. */
  falseProof({ verdict, cachedTokens }: Receipt, ids: IdsFact): string | null {
    if (verdict !== 'proven') return null;
    const asked = this.#fake.served.findLast(
      ({ promptIds, reusedTokens }) =>
        promptIds.length === ids.count &&
        reusedTokens === cachedTokens &&
        ids.tail.every((id, index) => promptIds[promptIds.length - ids.tail.length + index] === id),
    );
    if (!asked) return `a false proof: no request over these ids reused ${cachedTokens} tokens`;
    return asked.isReusedRight() ? null : `a false proof: the ${cachedTokens} tokens that were reused are not those`;
  }

  async stop(): Promise<void> {
    await this.#fake.stop();
    if (this.#tierDir !== null) rmSync(this.#tierDir, { recursive: true, force: true });
  }
}
