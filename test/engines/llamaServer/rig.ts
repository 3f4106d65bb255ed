import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  LlamaServerEngine,
  type LlamaServerEngineOptions,
} from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { ManualTimer } from '../vllm/rig.ts';
import { FakeLlamaServer, type FakeLlamaOptions } from '../../fakes/fakeLlamaServer.ts';

export const never = new AbortController().signal;

export interface Rig {
  readonly fake: FakeLlamaServer;
  readonly engine: LlamaServerEngine;
  readonly timer: ManualTimer;
  /** The pauses that the client made, in milliseconds. They take no time. */
  readonly pauses: number[];
  readonly slotDir: string;
  /** Another client of the same server, as after a restart of the backend. */
  another(options?: Partial<LlamaServerEngineOptions>): LlamaServerEngine;
}

export interface RigOptions {
  readonly fake?: Omit<FakeLlamaOptions, 'slotDir'>;
  /** Where slot files go: into a folder that the client knows (the default), that it does not know, or nowhere. */
  readonly folder?: 'reachable' | 'out of sight' | 'none';
  readonly engine?: Partial<LlamaServerEngineOptions>;
  /** Done in each pause of the client. */
  readonly onPause?: (rig: Rig) => Promise<void> | void;
}

/** A client on a fake, both ended with the test. */
export async function makeRig({ fake: fakeOptions, folder = 'reachable', ...options }: RigOptions = {}): Promise<Rig> {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-slots-'));
  const fake = await FakeLlamaServer.start({ ...fakeOptions, ...(folder === 'none' ? {} : { slotDir }) });
  const timer = new ManualTimer();
  const pauses: number[] = [];
  const engines: LlamaServerEngine[] = [];
  const another = (others: Partial<LlamaServerEngineOptions> = {}): LlamaServerEngine => {
    const engine = new LlamaServerEngine({
      spec: fake.url,
      connect: async () => ({ url: fake.url }),
      timer,
      sleep: async (delayMs, signal) => {
        signal.throwIfAborted();
        pauses.push(delayMs);
        await options.onPause?.(rig);
      },
      random: () => 0,
      slotDir: folder === 'reachable' ? slotDir : undefined,
      ...options.engine,
      ...others,
    });
    engines.push(engine);
    return engine;
  };
  const rig: Rig = { fake, engine: another(), timer, pauses, slotDir, another };
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await fake.stop();
    await rm(slotDir, { recursive: true, force: true });
  });
  return rig;
}

/** Token ids that differ from one call to the next, from the first one on. */
let nextSeed = 1;
export function someIds(count: number): number[] {
  const seed = nextSeed++;
  return Array.from({ length: count }, (_, index) => 32 + ((index * 7 + seed * 13 + Math.floor(index / 90)) % 90));
}

export const contextOf = (ids: readonly number[], salt = 'salt-1') => ({ ids, salt, handle: null });

export async function failure(promise: Promise<unknown>): Promise<CwmError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (error instanceof CwmError) return error;
  throw error;
}
