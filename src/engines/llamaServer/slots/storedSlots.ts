import type { KvContext, PersistEvidence, RestoreEvidence, ReuseEvidence } from '../../../core/ports/engine.ts';
import type { HomeSlot } from './homeSlot.ts';
import type { Place } from './place.ts';
import { RestoreTrials } from './restoreTrials.ts';
import { eraseSlot, restoreSlot, saveSlot } from './slotActions.ts';
import type { SlotFolder } from './slotFolder.ts';
import { formatHandle, parseHandle, slotFileName } from './slotHandle.ts';
import type { SlotRequests } from './slotRequests.ts';

/** How often a save is repeated when another client used the slot in between. */
const maxSaves = 3;
const memoryOnly = 'The KV lasts only as long as llama-server keeps it in memory.';

interface Parts {
  readonly requests: SlotRequests;
  readonly home: HomeSlot;
  readonly folder: SlotFolder;
}

/** Saves the client's slot into files, and restores it from them. What a restore says of itself counts for nothing: the next request does. */
export class StoredSlots {
  readonly #requests: SlotRequests;
  readonly #home: HomeSlot;
  readonly #folder: SlotFolder;
  readonly #trials = new RestoreTrials();
  /** Files over whose restore the server went away: they would end it again. */
  readonly #deadly = new Set<string>();

  constructor({ requests, home, folder }: Parts) {
    this.#requests = requests;
    this.#home = home;
    this.#folder = folder;
  }

  /** Another server answers now. */
  reset(): void {
    this.#trials.reset();
  }

  /** @param reuse what the request over these ids, which was made just now, showed. */
  async save(place: Place, context: KvContext, reuse: ReuseEvidence, signal: AbortSignal): Promise<PersistEvidence> {
    if (!place.server.savesSlots) return { reuse, handle: null, notes: [memoryOnly] };
    const hash = this.#folder.hashOf(context);
    const isDeadly = this.#deadly.delete(hash);
    for (let saves = 1; ; saves++) {
      const saved = await saveSlot(place.link, place.slot, slotFileName(hash), signal);
      if ('why' in saved) return { reuse, handle: null, notes: [`${saved.why} ${memoryOnly}`] };
      if (saved.sizeBytes === 0) return { reuse, handle: null, notes: [`The server saved nothing. ${memoryOnly}`] };
      // As many tokens may be somebody else's.
      if (saved.tokens === context.ids.length && (await this.#isOf(hash, context.ids))) {
        const notes = await this.#savedNotes(hash, saved.sizeBytes);
        const sizeBytes = notes.length === 0 ? await this.#folder.shrink(hash, saved.tokens) : saved.sizeBytes;
        if (sizeBytes === null)
          return { reuse, handle: null, notes: [`Its slot file could not be written. ${memoryOnly}`] };
        const handle = formatHandle({ hash, sizeBytes });
        const trial = isDeadly ? { notes: [] } : await this.#tryRestore(place, context, signal);
        return { reuse, handle, ...trial, notes: [...notes, ...trial.notes] };
      }
      this.#home.emptied(place.slot);
      if (saves === maxSaves) {
        await this.#folder.forget([hash]);
        return { reuse, handle: null, notes: [`Somebody else uses slot ${place.slot}. ${memoryOnly}`] };
      }
      await this.#requests.complete(place, context, false, signal);
    }
  }

  /** Where the file does not tell, the number of tokens has to do. */
  async #isOf(hash: string, ids: readonly number[]): Promise<boolean> {
    const found = await this.#folder.idsOf(hash);
    return found === null || (found.length === ids.length && found.every((id, at) => id === ids[at]));
  }

  /** Reads a file back that was just written: how much a thaw can reuse of it is known only then. Nothing about it ends the save. */
  async #tryRestore(
    place: Place,
    context: KvContext,
    signal: AbortSignal,
  ): Promise<Pick<PersistEvidence, 'restored' | 'notes'>> {
    const { link, slot } = place;
    const known = this.#trials.known(context.ids.length);
    if (known === 'whole') return { notes: [] };
    if (known) return { restored: known, notes: [] };
    const hash = this.#folder.hashOf(context);
    // The next request must not find the slot empty: an erased slot is filled again, also when the request that erased it is cancelled.
    const unaborted = new AbortController().signal;
    signal.throwIfAborted();
    if (!(await eraseSlot(link, slot, unaborted))) return { notes: [] };
    this.#home.filledFromFile(slot, context.salt);
    const outcome = await restoreSlot(link, slot, slotFileName(hash), unaborted);
    if (outcome.kind !== 'restored') {
      this.#home.refused(slot);
      if (outcome.kind === 'lost') this.#deadly.add(hash);
      return { notes: [`The slot file was written, and the server did not read it back: ${outcome.error.message}`] };
    }
    const { reuse } = await this.#requests.complete(place, context, false, signal);
    // This process wrote the file itself a moment ago, out of this very slot.
    this.#home.noLongerFromFile(slot);
    this.#trials.note(reuse);
    return { restored: reuse, notes: [] };
  }

  /** @param isSound looks at the file while the server reads it. */
  async restore(
    place: Place,
    context: KvContext,
    signal: AbortSignal,
    isSound: () => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<RestoreEvidence> {
    const tokens = parseHandle(context.handle)?.tokens;
    const hash = this.#folder.hashOf(context, tokens);
    const why = place.server.savesSlots ? await this.#whyNotRestored(hash, context.handle) : memoryOnly;
    if (why !== null) return { outcome: 'missing', notes: [why] };
    const { link, slot } = place;
    if (!(await eraseSlot(link, slot, signal))) return { outcome: 'missing', notes: [memoryOnly] };
    // The server may still do it, even when the caller waits no longer.
    this.#home.filledFromFile(slot, context.salt);
    const looking = isSound();
    looking.catch(() => undefined);
    const outcome = await restoreSlot(link, slot, slotFileName(hash), signal);
    if (outcome.kind === 'restored') {
      const expected = tokens ?? context.ids.length;
      const found =
        outcome.tokens === expected
          ? (await looking.catch(() => false))
            ? null
            : 'the slot file is not what was saved'
          : `the slot file has ${outcome.tokens} tokens instead of ${expected}`;
      if (found === null) return { outcome: 'restored', notes: [] };
      await eraseSlot(link, slot, new AbortController().signal);
      this.#home.emptied(slot);
      return { outcome: 'missing', notes: [`It was given up, because ${found}.`] };
    }
    this.#home.refused(slot);
    if (outcome.kind === 'refused') return { outcome: 'rejected', notes: [outcome.error.message] };
    this.#deadly.add(hash);
    return { outcome: 'rejected', notes: [`${outcome.error.message} It had been given a slot file to restore.`] };
  }

  /** Why a context's file is not given to the server; null when it may be. */
  async #whyNotRestored(hash: string, handle: string | null): Promise<string | null> {
    const named = parseHandle(handle);
    if (named === null) return 'No slot file was saved for this context.';
    if (named.hash !== hash) return this.#folder.otherOptions;
    if (this.#deadly.has(hash))
      return 'The server went away over its slot file before, so it was not given that again.';
    if ((await this.#folder.whyUnreachable()) !== null) return null;
    const sizeBytes = await this.#folder.sizeBytes(hash);
    if (sizeBytes === null) return 'Its slot file is gone.';
    // llama.cpp aborts over a file that is a little too short, and takes the whole server with it.
    return sizeBytes === named.sizeBytes ? null : `Its slot file has ${sizeBytes} bytes instead of ${named.sizeBytes}.`;
  }

  async #savedNotes(hash: string, sizeBytes: number): Promise<string[]> {
    const why = await this.#folder.whyUnreachable();
    if (why !== null) return [`The server saved ${sizeBytes} bytes into ${slotFileName(hash)}. ${why}`];
    const found = await this.#folder.sizeBytes(hash);
    if (found === sizeBytes) return [];
    return [
      `The server saved ${sizeBytes} bytes into ${slotFileName(hash)}, but the named slot folder ${
        found === null ? 'has no such file: is it the one of --slot-save-path?' : `has ${found} bytes of it.`
      }`,
    ];
  }
}
