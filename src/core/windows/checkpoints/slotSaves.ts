import { unlessAborted } from '../../../base/unlessAborted.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../../context.ts';
import { isOpen } from '../../lifecycle.ts';
import { saltOf } from '../../ports/lineages.ts';
import { SavingCosts } from './checkpointPolicy.ts';
import { makeLeftCheckpoint } from './leftCheckpoint.ts';

/** What a server has of a session in a slot. */
export interface HeldKv {
  readonly engine: string;
  /** Undefined: the server's only one, or the engine's own. */
  readonly slot: number | undefined;
  readonly salt: string;
  readonly tokens: number;
}

/** Somebody who waits for a save. */
interface Waiting {
  /** Called as soon as the server is free again. @param isWritten whether there is a file. */
  readonly written: (isWritten: boolean) => void;
  /** Until that resolves, the session's last turn may not be stored, or the machine has something better to do. */
  readonly stored: () => Promise<void>;
}

/** Checkpoints of what servers have in their slots, as it is: a server writes its file, and its model is asked for nothing. */
export class SlotSaves {
  readonly #core: () => CoreContext;
  /** Of a server's writing alone. */
  readonly #costs = new SavingCosts();

  constructor(core: () => CoreContext) {
    this.#core = core;
  }

  /** Milliseconds of a server's writing, at the last cost; null when nothing was saved on it yet. */
  expectedMs(engine: string, tokens: number): number | null {
    return this.#costs.expectedMs(engine, tokens);
  }

  /**
   * What a server should have, where it can write that, and it pays. Null: it is not to be saved so.
   *
   * @throws CwmError of the store and the registry.
   */
  async heldOf(id: SessionId, { engine, slot, tokens }: Omit<HeldKv, 'salt'>): Promise<HeldKv | null> {
    const { engines, prefill, recording, store } = this.#core();
    if (!engines.get(engine).leave) return null;
    const session = await store.sessions.get(id);
    if (!session || session.engine !== engine || !isOpen(session)) return null;
    if (!this.#costs.pays(engine, tokens, prefill.expectedMs(engine, tokens))) return null;
    if ((await recording.whyNot(session)) !== null) return null;
    return { engine, slot, salt: saltOf(await store.lineages.get(session.lineage)), tokens };
  }

  /**
   * Has the server write, and makes that the session's checkpoint. Runs as the session's work in the background.
   *
   * @param waiting null: nobody waits. @returns null: the server has something else, or what it wrote is no checkpoint; no file stays then.
   * @throws CwmError StorageFull, ModelMismatch, Cancelled, and those of the engine and the store.
   */
  async save(id: SessionId, held: HeldKv, waiting: Waiting | null, signal: AbortSignal): Promise<Receipt | null> {
    const { engine, slot, salt, tokens } = held;
    const { clock, engines } = this.#core();
    const startedMs = clock.elapsedMs();
    const writing = engines.get(engine).leave?.(salt, tokens, signal, slot) ?? Promise.resolve(null);
    const kv = await writing.catch(() => null);
    waiting?.written(kv !== null);
    if (!kv) return null;
    const ms = clock.elapsedMs() - startedMs;
    // Nobody waits for what follows, so that it counts for nothing.
    this.#costs.spent(engine, { ms, tokens });
    if (waiting) await unlessAborted(waiting.stored(), signal).catch(() => undefined);
    return makeLeftCheckpoint(this.#core(), id, { kv, salt, ms });
  }
}
