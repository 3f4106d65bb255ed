import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { blockHashChain, defaultHashSeed } from '../../../src/base/kvBlockHash.ts';
import type { Engine, OnPiece } from '../../../src/core/ports/engine.ts';
import type { Timer } from '../../../src/engines/http/timing.ts';
import { VllmEngine, type VllmEngineOptions } from '../../../src/engines/vllm/vllmEngine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { HttpFault } from '../../fakes/fakeFaults.ts';
import type { FakeTierOptions } from '../../fakes/fakeFsTier.ts';
import { FakeVllm, type FakeVllmOptions } from '../../fakes/fakeVllm.ts';

export const never = new AbortController().signal;

/** Time-outs that come only when the test says so. */
export class ManualTimer implements Timer {
  #nowMs = 0;
  readonly #tasks = new Set<{ readonly dueMs: number; readonly task: () => void }>();

  schedule(delayMs: number, task: () => void): () => void {
    const entry = { dueMs: this.#nowMs + delayMs, task };
    this.#tasks.add(entry);
    return () => this.#tasks.delete(entry);
  }

  /** To when the next task is due; nowhere when there is none. */
  advanceToNext(): void {
    const dueMs = Math.min(...[...this.#tasks].map((entry) => entry.dueMs));
    if (Number.isFinite(dueMs)) this.advance(dueMs - this.#nowMs);
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
    const due = [...this.#tasks].filter(({ dueMs }) => dueMs <= this.#nowMs);
    for (const entry of due) {
      this.#tasks.delete(entry);
      entry.task();
    }
  }
}

export interface Rig {
  readonly fake: FakeVllm;
  readonly engine: VllmEngine;
  readonly timer: ManualTimer;
  /** The pauses that the client made, in milliseconds. They take no time. */
  readonly pauses: number[];
  /** How often it asked for the address. */
  readonly connects: { count: number };
  /** The tier's folder; empty without one. */
  readonly rootDir: string;
}

export interface RigOptions {
  readonly fake?: Omit<FakeVllmOptions, 'tier'>;
  /** Options of the tier, without its folder, which is made for the test. */
  readonly tier?: Omit<FakeTierOptions, 'rootDir'>;
  readonly engine?: Partial<VllmEngineOptions>;
  readonly managed?: boolean;
  /** Whether the client gets the server's events about its KV blocks. */
  readonly events?: boolean;
  /** Done in each pause of the client. */
  readonly onPause?: (rig: Rig) => Promise<void> | void;
}

/** A client on a fake, both ended with the test. */
export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const rootDir = options.tier ? await mkdtemp(join(tmpdir(), 'cwm-tier-')) : '';
  const fake = await FakeVllm.start({
    ...options.fake,
    ...(options.tier ? { tier: { rootDir, ...options.tier } } : {}),
  });
  const timer = new ManualTimer();
  const pauses: number[] = [];
  const connects = { count: 0 };
  const engine = new VllmEngine({
    spec: fake.url,
    connect: async () => {
      connects.count++;
      return { url: fake.url, ...(options.managed === undefined ? {} : { managed: options.managed }) };
    },
    timer,
    sleep: async (delayMs, signal) => {
      signal.throwIfAborted();
      pauses.push(delayMs);
      await options.onPause?.(rig);
    },
    random: () => 0,
    events: options.events ? () => Promise.resolve(fake.events) : undefined,
    eventTimer: noPatience,
    blockFiles: options.tier ? { rootDir } : undefined,
    ...options.engine,
  });
  const rig: Rig = { fake, engine, timer, pauses, connects, rootDir };
  onTestFinished(async () => {
    await engine.close();
    await fake.stop();
    if (rootDir !== '') await rm(rootDir, { recursive: true, force: true });
  });
  return rig;
}

/** The fakes publish events before they answer: what has not come by then never comes. */
export const noPatience: Timer = {
  schedule: (_, task) => {
    task();
    return () => undefined;
  },
};

/** Token ids that differ from one call to the next. */
let nextSeed = 1;
export function someIds(count: number): number[] {
  const seed = nextSeed++;
  return Array.from({ length: count }, (_, index) => 32 + ((index * 7 + seed * 13 + Math.floor(index / 90)) % 90));
}

export const contextOf = (ids: readonly number[], salt = 'salt-1') => ({ ids, salt, handle: null });

/** The fake's own block names, with its default settings. */
export const blockNames = (ids: readonly number[], salt = 'salt-1', blockTokens = 16): string[] =>
  blockHashChain({ algorithm: 'sha256_cbor', seed: defaultHashSeed, saltEncoding: 'tagged' }, ids, blockTokens, salt);

export const completions = '/v1/completions';
/** The next two ask any engine. */
export const ask = ({ engine }: { readonly engine: Engine }, signal = never) =>
  engine.measure(contextOf(someIds(40)), signal);
export const chat = ({ engine }: { readonly engine: Engine }, onPiece: OnPiece = () => undefined, signal = never) =>
  engine.generate(
    {
      messages: [{ role: 'user', content: 'Hello' }],
      salt: 's',
      maxTokens: 6,
      temperature: 0,
      addGenerationPrompt: true,
    },
    onPiece,
    signal,
  );

export async function failure(promise: Promise<unknown>): Promise<CwmError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (error instanceof CwmError) return error;
  throw error;
}

/** A rig whose server is known already, and then does this to what follows. */
export async function afterDescribe(http: HttpFault, options: RigOptions = {}): Promise<Rig> {
  const rig = await makeRig(options);
  await rig.engine.describe(never);
  rig.fake.faults.http = http;
  return rig;
}
