import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { smallModel } from '../embedded/support/smallModel.ts';
import type { IdsFact } from './facts.ts';
import { flipBit } from './flipBit.ts';
import type { ModelServer } from './modelServer.ts';
import type { Random } from './random.ts';

/**
 * The engine that the backend itself runs, with a small generated model. It ends with the backend, so that each round loads from files, and some
 * rounds kill its llama.cpp alone. What was damaged is remembered: a proof over a file that is still damaged is a false one.
 */
export class EmbeddedUnderSoak implements ModelServer {
  readonly spec: string;
  // The worker was killed in the middle of a request.
  readonly mayRefuse = ['CWM-5001', 'CWM-5004', 'CWM-5101'];
  readonly mayJudge = ['text-only', 'unobserved'];
  readonly damagesFiles = true;
  readonly hasProcesses = true;
  readonly #folder: string;
  readonly #kvDir: string;
  /** The bytes of damaged files, by their path. */
  readonly #damaged = new Map<string, Buffer>();

  static async start(storage: string): Promise<EmbeddedUnderSoak> {
    return new EmbeddedUnderSoak(storage);
  }

  private constructor(storage: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'cwm-soak-model-'));
    this.#kvDir = join(storage, 'kv');
    this.spec = `embedded:${smallModel(this.#folder)}`;
  }

  async evict(): Promise<void> {
    // It ended with the backend of the round before.
  }

  killBelow(backendPid: number): number {
    const workers = childrenOf(backendPid).flatMap(childrenOf);
    for (const pid of workers) process.kill(pid, 'SIGKILL');
    return workers.length;
  }

  damage(random: Random, hashes: readonly string[]): boolean {
    const path = hashes.length === 0 ? undefined : this.#pathOf(random.pick(hashes));
    const bytes = path === undefined ? null : flipBit(random, path);
    if (path === undefined || bytes === null) return false;
    this.#damaged.set(path, bytes);
    return true;
  }

  falseProof(
    { verdict, cachedTokens, promptTokens }: Receipt,
    _ids: IdsFact,
    blocks: readonly string[],
  ): string | null {
    if (verdict !== 'proven') return null;
    if (cachedTokens === null || promptTokens === null || cachedTokens >= promptTokens)
      return `a false proof: ${cachedTokens} of ${promptTokens} tokens cannot have been reused`;
    for (const hash of blocks) {
      const path = this.#pathOf(hash);
      const damaged = path === undefined ? undefined : this.#damaged.get(path);
      if (path === undefined || !damaged) continue;
      if (readFileSync(path).equals(damaged)) return `a false proof: block ${hash} is damaged`;
    }
    return null;
  }

  async stop(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #pathOf(hash: string): string | undefined {
    const files = readdirSync(this.#kvDir, { recursive: true, withFileTypes: true });
    const file = files.find(({ name }) => name === `${hash}.kv`);
    return file && join(file.parentPath, file.name);
  }
}

/** Empty where the system does not tell, and for a process that has gone. */
function childrenOf(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}
