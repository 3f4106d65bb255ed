import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/base/clock.ts';
import { makeCore, type Core } from '../../../src/core/core.ts';
import type { Engine } from '../../../src/core/ports/engine.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { openStore } from '../../../src/store/openStore.ts';

export interface CoreOver {
  readonly cwm: Core;
  /** A session with one turn behind it, kept as window `w` while it goes on. */
  keep(text?: string): Promise<Receipt>;
  thaw(): Promise<Receipt>;
  /** What the model says next in the session that the last thaw opened. */
  answer(session: string): Promise<{ text: string; cachedTokens: number | null }>;
  dispose(): Promise<void>;
}

const never = new AbortController().signal;
const lines = (seed: string): string =>
  Array.from({ length: 24 }, (_, at) => `${seed} line ${at}: ${at * 7919}`).join('\n');

/** The core over the real store in a fresh folder, with one engine, or with the one that answers now. */
export async function coreOver(given: Engine | (() => Engine)): Promise<CoreOver> {
  const engineNow = typeof given === 'function' ? given : () => given;
  const directory = await mkdtemp(join(tmpdir(), 'cwm-core-'));
  const store = await openStore({ directory, clock: systemClock });
  const cwm = makeCore({
    store,
    clock: systemClock,
    changes: { emit: () => undefined },
    engines: { defaultSpec: engineNow().spec, get: engineNow, status: () => Promise.reject(new Error('not needed')) },
    // At the end, nothing is left to save KV for.
    checkpoints: { shutdownMs: 0 },
    files: { read: async () => ({ files: [{ path: 'notes.txt', text: lines('notes') }], skipped: [] }) },
  });
  return {
    cwm,
    keep: async (text = lines('message')) => {
      await cwm.createSession({ id: 's' });
      await cwm.send({ session: 's', text, maxTokens: 12 }, never);
      return cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never);
    },
    thaw: () => cwm.thaw({ window: 'w' }, never),
    answer: (session) => cwm.send({ session, text: 'And what comes next?', maxTokens: 12 }, never),
    dispose: async () => {
      await cwm.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
