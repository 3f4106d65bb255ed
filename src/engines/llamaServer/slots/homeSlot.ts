import type * as z from 'zod/mini';
import type { Clock } from '../../../base/clock.ts';
import type { SlotState } from '../../../core/ports/engine.ts';
import type { Link } from '../../http/link.ts';
import type { Sleep } from '../../http/timing.ts';
import type { ServerIdentity } from '../serverIdentity.ts';
import { slotsSchema } from '../wire.ts';

/** What this client, or a request that passed it, put into a slot last. */
interface SlotContent {
  readonly salt: string;
  /** It came from a file, and no turn has built on it since: whether it is sound may not be known yet. */
  readonly isFromFile: boolean;
  /** The next request is the one that it was restored for. */
  readonly isAwaited?: true;
  /** The request that brings it has not ended. */
  isRunning: boolean;
  /** The server's id of the last request in the slot; null: it was not looked at since. */
  task: number | null;
}

/** How a request must treat the content of its slot. */
export interface SlotUse {
  readonly slot: number;
  readonly salt: string;
  /** Empty the slot beforehand. */
  readonly erase: boolean;
  /** Let the server reuse what it has: from the slot, or from its own prompt cache in memory. */
  readonly reuse: boolean;
  /** The reusable content came from a file. */
  readonly isFromFile: boolean;
}

const slotsRequest = { method: 'GET', path: '/slots', patience: 'small', wrongAnswer: 'EngineFailed' } as const;

/** A request that was aborted is given this long to leave its slot, in milliseconds, before another slot is taken. */
const leavingPausesMs = [5, 20, 50, 100];

/** Which slots are idle is asked again when the question is older, in milliseconds. */
const lookLastsMs = 100;

/** The idle slots, asked for before they are needed; null where nobody answered. */
interface Look {
  readonly idle: Promise<readonly number[] | null>;
  readonly askedMs: number;
}

/**
 * The one slot that this client works in by itself, so that other clients retain theirs, and what is in those that it was told to use. The client
 * moves only when another client's request runs in its slot.
 *
 * llama-server reuses any content with the same beginning. This class separates conversations: one that this process has not seen before
 * computes everything, and KV from a file that may be damaged is erased when another conversation comes, so that the server's prompt
 * cache never stores it.
 */
export class HomeSlot {
  readonly #sleep: Sleep;
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  #look: Look | null = null;
  #slot: number | null = null;
  /** By slot. */
  readonly #contents = new Map<number, SlotContent>();
  /** A look found a slot without what was in it, although no other request came into it. */
  #emptiesSlots = false;
  /** A look found that no request came to the server since its start. */
  #isUnused = false;
  readonly #knownSalts = new Set<string>();
  /** Slots whose restore was refused, which may have left them damaged (llama.cpp#27068). */
  readonly #unfit = new Set<number>();

  constructor(sleep: Sleep, clock: Pick<Clock, 'elapsedMs'>) {
    this.#sleep = sleep;
    this.#clock = clock;
  }

  /** Another server answers now. */
  reset(): void {
    this.#look = null;
    this.#slot = null;
    this.#contents.clear();
    this.#unfit.clear();
    this.#knownSalts.clear();
    this.#emptiesSlots = false;
  }

  /** The connection broke for a moment: if the server was restarted, its slots are empty and sound. */
  lost(): void {
    this.#look = null;
    this.#unfit.clear();
  }

  /** Asks which slots are idle, for a {@link find} that follows at once. Never rejects: a failure counts as no answer, and {@link find} asks again. */
  async lookAhead(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<void> {
    const idle = idleSlots(link, server, signal).catch(() => null);
    this.#look = { idle, askedMs: this.#clock.elapsedMs() };
    await idle;
  }

  /** Finds an idle slot. When all are busy, the server lets our request wait for its turn. */
  async find(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<number> {
    if (server.slots === 1) return this.#onlySlot();
    const home = this.#slot !== null && !this.#unfit.has(this.#slot) ? this.#slot : null;
    // No other slot has it, so whether this one is idle changes nothing.
    if (home !== null && this.#takeAwaited(home)) return home;
    let idle = (await this.#looked()) ?? (await idleSlots(link, server, signal));
    for (const pauseMs of home === null ? [] : leavingPausesMs) {
      if (idle.includes(home as number)) break;
      await this.#sleep(pauseMs, signal);
      idle = await idleSlots(link, server, signal);
    }
    if (home !== null && idle.includes(home)) return home;
    const fit = idle.filter((slot) => !this.#unfit.has(slot));
    // The last one: the server gives others the first ones.
    const next = this.#lastUnused(fit) ?? fit.at(-1) ?? home ?? idle.at(-1) ?? server.slots - 1;
    // Without a slot of its own, it has seen only what passed.
    if (this.#slot !== null && next !== this.#slot) this.#contents.delete(this.#slot);
    return (this.#slot = next);
  }

  /** Only once: later the slot may be busy for long. */
  #takeAwaited(slot: number): boolean {
    const content = this.#contents.get(slot);
    if (!content?.isAwaited) return false;
    const { isAwaited, ...taken } = content;
    this.#contents.set(slot, taken);
    return isAwaited;
  }

  /** Of these slots; undefined: something is in each. */
  #lastUnused = (slots: readonly number[]): number | undefined => slots.findLast((slot) => !this.#contents.has(slot));

  /** There is no choice: a request waits there for its turn. */
  #onlySlot(): number {
    this.#takeAwaited(0);
    return (this.#slot = 0);
  }

  async #looked(): Promise<readonly number[] | null> {
    const look = this.#look;
    this.#look = null;
    return look && this.#clock.elapsedMs() - look.askedMs < lookLastsMs ? look.idle : null;
  }

  /** A slot for requests that belong to no conversation: an idle one that is not our own, where there is one. */
  async findSpare(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<number> {
    const idle = await idleSlots(link, server, signal);
    const others = server.showsSlots ? idle.filter((slot) => slot !== this.#slot && !this.#unfit.has(slot)) : [];
    const spare = this.#lastUnused(others) ?? others.at(-1);
    return spare ?? (await this.find(link, server, signal));
  }

  isAt(slot: number): boolean {
    return this.#slot === slot;
  }

  /** Whether a slot has what was computed under this salt, as far as this process knows. */
  hasComputed(slot: number, salt: string): boolean {
    const content = this.#contents.get(slot);
    return content?.salt === salt && !content.isFromFile;
  }

  /**
   * A request under this salt is sent past this class. @param slot null: into whichever one. @returns whether this process has seen the salt before,
   * and the slot whose content must be erased before it is sent; null: there is none.
   */
  passes(slot: number | null, salt: string): { readonly reuse: boolean; readonly unsound: number | null } {
    const at = slot ?? this.#slot ?? 0;
    const { reuse, erase } = this.plan(at, salt);
    return { reuse, unsound: erase ? at : null };
  }

  /** The request that {@link passes} was asked about is about to be sent. */
  passed(slot: number | null, salt: string): void {
    this.enter({ slot: slot ?? this.#slot ?? 0, salt, isFromFile: false });
  }

  /** The request that was to bring what is in the slot has ended. */
  ended(slot: number): void {
    const content = this.#contents.get(slot);
    if (content) content.isRunning = false;
  }

  /** How a request under this salt has to treat the slot. Changes nothing. */
  plan(slot: number, salt: string): SlotUse {
    const content = this.#contents.get(slot);
    const isSame = content?.salt === salt;
    return {
      slot,
      salt,
      erase: !isSame && content?.isFromFile === true,
      reuse: isSame || this.#knownSalts.has(salt),
      isFromFile: isSame && content.isFromFile,
    };
  }

  /** The request is about to be sent, and the slot erased where the plan says so. */
  enter({ slot, salt, isFromFile }: Pick<SlotUse, 'slot' | 'salt' | 'isFromFile'>): void {
    this.#knownSalts.add(salt);
    this.#contents.set(slot, { salt, isFromFile, isRunning: true, task: null });
  }

  /** The slot was filled from a file. */
  filledFromFile(slot: number, salt: string): void {
    this.#knownSalts.add(salt);
    this.#contents.set(slot, { salt, isFromFile: true, isAwaited: true, isRunning: false, task: null });
  }

  /** A turn was built on what the slot holds, so it had been found sound; or nothing of the file was left. */
  noLongerFromFile(slot: number): void {
    const content = this.#contents.get(slot);
    if (content) this.#contents.set(slot, { ...content, isFromFile: false });
  }

  /** The slot is empty, or its content is unknown. */
  emptied(slot: number): void {
    this.#contents.delete(slot);
  }

  /** A restore was refused here. */
  refused(slot: number): void {
    this.#unfit.add(slot);
    this.#contents.delete(slot);
  }

  /**
   * What is in each slot. Another program's request in one of them is noticed by the number of its last request, and a server that emptied one to
   * make room by its tokens. Null: the server does not show that.
   */
  async look(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<readonly SlotState[] | null> {
    if (!server.showsSlots) return null;
    const before = new Map(this.#contents);
    const { value } = await link.json(slotsRequest, slotsSchema, signal);
    if (value.every(isUntouched)) this.#startedAgain();
    const seen = value.map(({ id: slot, is_processing: isBusy, id_task: task, n_prompt_tokens: tokens }) => {
      const content = this.#contents.get(slot);
      // What came while the server was asked is not what it answered about.
      if (content && content === before.get(slot) && !content.isRunning && !isBusy) {
        content.task ??= task ?? null;
        const isOfOther = (task ?? null) !== content.task;
        if (isOfOther || tokens === 0) this.#contents.delete(slot);
        if (!isOfOther && tokens === 0) this.#emptiesSlots = true;
      }
      return { slot, isBusy, isKept: this.#contents.has(slot), isOwn: slot === this.#slot };
    });
    return seen.map((state) => ({ ...state, isEmptiedAtRest: this.#emptiesSlots }));
  }

  /** Whether a {@link look} since the last call found that no request came to the server since its start. */
  takeUnused(): boolean {
    const isUnused = this.#isUnused;
    this.#isUnused = false;
    return isUnused;
  }

  /** What was read from files since then is there. */
  #startedAgain(): void {
    const had = this.#contents.size;
    for (const [slot, { isFromFile, isRunning, task }] of this.#contents)
      if (!isRunning && (!isFromFile || (task ?? -1) >= 0)) this.#contents.delete(slot);
    // Who put there what is left, or has just sent it, has been told already.
    if (had === 0 || this.#contents.size < had) this.#isUnused = true;
    if (this.#contents.size === 0) this.reset();
  }
}

const isUntouched = ({ id_task: task }: z.infer<typeof slotsSchema>[number]): boolean =>
  task === undefined || task === null || task < 0;

/** Whether no slot has had a request since the server started; false where the server does not tell. */
export async function isUnused(link: Link, { showsSlots }: ServerIdentity, signal: AbortSignal): Promise<boolean> {
  if (!showsSlots) return false;
  const { value } = await link.json(slotsRequest, slotsSchema, signal);
  return value.every(isUntouched);
}

/** Every slot, where the server does not show them. */
async function idleSlots(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<readonly number[]> {
  const all = Array.from({ length: server.slots }, (_, slot) => slot);
  if (!server.showsSlots) return all;
  const { value } = await link.json(slotsRequest, slotsSchema, signal);
  const idle = new Set(value.filter((slot) => !slot.is_processing).map(({ id }) => id));
  return all.filter((slot) => idle.has(slot));
}
