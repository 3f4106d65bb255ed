import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BackendEngines } from '../../../src/backend/engines/backendEngines.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { blockHashChain, defaultHashSeed, type BlockHashProfile } from '../../../src/base/kvBlockHash.ts';
import { makeCore, type Core } from '../../../src/core/core.ts';
import { saltOf } from '../../../src/core/ports/lineages.ts';
import type { EngineRegistry } from '../../../src/core/ports/engineRegistry.ts';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import type { KvRecord } from '../../../src/protocol/schemas/window.ts';
import type { FileStore } from '../../../src/store/fileStore.ts';
import { openStore } from '../../../src/store/openStore.ts';

/** What every vLLM here is started with. */
export const blockTokens = 32;
export const hashProfile: BlockHashProfile = {
  algorithm: 'sha256_cbor',
  seed: defaultHashSeed,
  saltEncoding: 'tagged',
};

/** The product without its process: the core over the real store and the engines that the backend makes of a URL. */
export interface LiveProduct extends AsyncDisposable {
  readonly cwm: Core;
  readonly store: FileStore;
  readonly engines: EngineRegistry;
}

export async function liveProduct(): Promise<LiveProduct> {
  const directory = await mkdtemp(join(tmpdir(), 'cwm-live-store-'));
  const store = await openStore({ directory, clock: systemClock });
  const engines = new BackendEngines({
    storage: directory,
    defaultSpec: 'http://127.0.0.1:9',
    embedded: { entry: '', args: [] },
    log: { write: () => undefined, failure: () => undefined },
    emit: () => undefined,
  });
  const cwm = makeCore({
    store,
    engines,
    clock: systemClock,
    changes: { emit: () => undefined },
    files: { read: () => Promise.reject(new Error('no file is read here')) },
    // The servers of most tests are gone before the product ends, and no KV can be saved then.
    checkpoints: { shutdownMs: 0 },
  });
  return {
    cwm,
    store,
    engines,
    [Symbol.asyncDispose]: async () => {
      await cwm.close();
      await engines.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The engine of a URL, with its block files in sight or out of it. */
export const seen = (url: string, kvDir: string): string => `${url}#tier=${encodeURI(kvDir)}`;
export const blind = (url: string): string => `${url}#tier=off`;

/** Everything that decides about a window's KV, as the product keeps it. */
export interface FrozenContext {
  readonly ids: readonly number[];
  readonly salt: string;
  readonly kv: KvRecord;
  /** Names of its full blocks by our own chain. */
  readonly hashes: readonly string[];
}

export async function frozenContext({ cwm, store }: LiveProduct, window: string): Promise<FrozenContext> {
  const { manifest } = await cwm.getWindow({ window });
  const name = parseWindowName(window);
  const [ids, kv] = [await store.windows.loadTokens(name), await store.windows.loadKv(name)];
  const lineage = await store.lineages.get(manifest.lineage);
  const full = saltOf({ ...lineage, generation: kv.saltGeneration });
  return { ids, kv, salt: full, hashes: blockHashChain(hashProfile, ids, blockTokens, full) };
}

/** What a repeat reuses at most: the last token is always computed. */
export const floorOf = (tokens: number): number => Math.floor((tokens - 1) / blockTokens) * blockTokens;

/** Plain text of a chosen length that is the same in each run and differs from one `topic` to the next. */
export function prose(topic: string, words: number): string {
  const lexicon =
    'river stone garden letter winter orange silver morning candle forest engine window prefix token'.split(' ');
  let state = Buffer.from(topic).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
  const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  return Array.from({ length: words }, () => lexicon[(next() >>> 16) % lexicon.length]).join(' ');
}
