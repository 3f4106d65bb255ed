import { randomId } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Sleep } from '../http/timing.ts';
import type { CachedContext, LmcacheCoordinator, Placement } from './coordinator.ts';

const pauseMs = 250;
/** Time without progress after which LMCache counts as done with storing or loading. */
const patienceMs = 10_000;

/** LMCache stores whole pieces of this many tokens, unless it was started with another `--chunk-size`. */
export const pieceTokens = 256;

const handlePrefix = 'lmcache:';

/**
 * The KV that LMCache stores for windows, pinned. The coordinator's statements go into notes and prove nothing. Its failures are notes,
 * too: a thaw works without it.
 */
export class PinnedKv {
  readonly #coordinator: LmcacheCoordinator;
  readonly #sleep: Sleep;

  constructor(coordinator: LmcacheCoordinator, sleep: Sleep) {
    this.#coordinator = coordinator;
    this.#sleep = sleep;
  }

  /**
   * Waits until LMCache has stored newly computed KV, and pins it.
   *
   * @param handle of an existing pin. Then this does not wait: a restarted coordinator may never hear of the stored KV, and each thaw would
   *   wait in vain.
   * @returns the pin's handle for {@link release}; null when the KV could not be pinned.
   */
  async keep(
    context: CachedContext,
    handle: string | null,
    signal: AbortSignal,
  ): Promise<{ readonly handle: string | null; readonly notes: string[] }> {
    const notes: string[] = [];
    let kept = handle;
    await this.#orNote(notes, signal, async () => {
      const placement =
        kept === null ? await this.#untilStored(context, signal) : await this.#coordinator.lookup(context, signal);
      notes.push(inWords(placement));
      if (kept !== null || placement.pieces === 0) return;
      await this.#coordinator.pin(context, signal);
      kept = `${handlePrefix}${randomId()}`;
      notes.push('LMCache has pinned the KV.');
    });
    return { handle: kept, notes };
  }

  /** Finds out where a context is, and has KV that is only on disk loaded into memory. */
  async bring(context: CachedContext, signal: AbortSignal): Promise<string[]> {
    const notes: string[] = [];
    await this.#orNote(notes, signal, async () => {
      const placement = await this.#coordinator.lookup(context, signal);
      notes.push(inWords(placement));
      if (placement.lasting === 0) return;
      const running = await this.#coordinator.instances(signal);
      const tellers = running.filter((instance) => placement.instances.includes(instance));
      const others = running.filter((instance) => !tellers.includes(instance));
      // The instance that reported KV on disk may have ended and still be on the list; then any running instance may share that disk.
      notes.push(...(await this.#load(context, [tellers, others], signal)));
    });
    return notes;
  }

  /**
   * Releases one pin, and deletes the pieces that nobody else has pinned, in every running instance: the one that reported them may have
   * ended, and its disk may belong to another. Does nothing for a foreign handle.
   */
  async release(context: CachedContext, handle: string | null, signal: AbortSignal): Promise<void> {
    if (handle?.startsWith(handlePrefix) !== true) return;
    await this.#coordinator.unpin(context, signal);
    const running = await this.#coordinator.instances(signal);
    const deleted = await Promise.allSettled(
      running.map((instance) => this.#coordinator.delete(context, instance, signal)),
    );
    for (const each of deleted) if (each.status === 'rejected') throw each.reason;
  }

  async #untilStored(context: CachedContext, signal: AbortSignal): Promise<Placement> {
    let placement = await this.#coordinator.lookup(context, signal);
    let most = placement.lasting;
    for (let quietMs = 0; placement.lasting < placement.pieces && quietMs < patienceMs; quietMs += pauseMs) {
      await this.#sleep(pauseMs, signal);
      placement = await this.#coordinator.lookup(context, signal);
      // More than ever before: an instance that loses track and finds it again makes no progress.
      if (placement.lasting > most) [most, quietMs] = [placement.lasting, 0];
    }
    return placement;
  }

  /** Has the first group of instances that can do so load it. Throws the first failure when none can. */
  async #load(
    context: CachedContext,
    groups: readonly (readonly string[])[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    let failed: PromiseRejectedResult | undefined;
    for (const instances of groups) {
      const loads = await Promise.allSettled(instances.map((instance) => this.#prefetch(context, instance, signal)));
      const loaded = loads.filter((load) => load.status === 'fulfilled');
      if (loaded.length > 0) return loaded.flatMap(({ value }) => value);
      failed ??= loads.find((load) => load.status === 'rejected');
    }
    if (failed) throw failed.reason;
    return [];
  }

  /** @returns the note about it. */
  async #prefetch(context: CachedContext, instance: string, signal: AbortSignal): Promise<readonly string[]> {
    const id = await this.#coordinator.prefetch(context, instance, signal);
    if (id === null) return [];
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += pauseMs) {
      if (await this.#coordinator.isPrefetched(instance, id, signal)) return [];
      await this.#sleep(pauseMs, signal);
    }
    return [`LMCache ${instance} is still loading it.`];
  }

  async #orNote(notes: string[], signal: AbortSignal, ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof CwmError) || signal.aborted) throw error;
      notes.push(`LMCache's coordinator could not help: ${error.message} (${error.code})`);
    }
  }
}

const inWords = ({ pieces, found, lasting }: Placement): string =>
  `LMCache says that it has ${found} of ${pieces} pieces of this context, ${lasting} of them where they outlive a restart.`;
