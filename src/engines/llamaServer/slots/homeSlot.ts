import type { Clock } from '../../../base/clock.ts';
import type { Link } from '../../http/link.ts';
import type { Sleep } from '../../http/timing.ts';
import type { ServerIdentity } from '../serverIdentity.ts';
import { slotsSchema } from '../wire.ts';

/** The content that this client last put into its slot. */
interface SlotContent {
  readonly salt: string;
  /** It came from a file, and no turn has built on it since: whether it is sound may not be known yet. */
  readonly isFromFile: boolean;
  /** The next request is the one that it was restored for. */
  readonly isAwaited?: true;
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
 * The one slot that this client works in, so that other clients retain theirs. The client moves only when another client's request
 * runs in its slot.
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
  #content: SlotContent | null = null;
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
    this.#content = null;
    this.#unfit.clear();
    this.#knownSalts.clear();
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
    const home = this.#slot !== null && !this.#unfit.has(this.#slot) ? this.#slot : null;
    if (home !== null && this.#content?.isAwaited) {
      // No other slot has it, so whether this one is idle changes nothing. Only once: later it may be busy for long.
      this.#content = { salt: this.#content.salt, isFromFile: true };
      return home;
    }
    let idle = (await this.#looked()) ?? (await idleSlots(link, server, signal));
    for (const pauseMs of home === null ? [] : leavingPausesMs) {
      if (idle.includes(home as number)) break;
      await this.#sleep(pauseMs, signal);
      idle = await idleSlots(link, server, signal);
    }
    if (home !== null && idle.includes(home)) return home;
    // The last one: the server gives others the first ones.
    const next = idle.findLast((slot) => !this.#unfit.has(slot)) ?? home ?? idle.at(-1) ?? server.slots - 1;
    // Without a slot of its own, it has seen only what passed.
    if (this.#slot !== null && next !== this.#slot) this.#content = null;
    return (this.#slot = next);
  }

  async #looked(): Promise<readonly number[] | null> {
    const look = this.#look;
    this.#look = null;
    return look && this.#clock.elapsedMs() - look.askedMs < lookLastsMs ? look.idle : null;
  }

  /** A slot for requests that belong to no conversation: an idle one that is not our own, where there is one. */
  async findSpare(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<number> {
    const idle = await idleSlots(link, server, signal);
    const spare = server.showsSlots
      ? idle.findLast((slot) => slot !== this.#slot && !this.#unfit.has(slot))
      : undefined;
    return spare ?? (await this.find(link, server, signal));
  }

  isAt(slot: number): boolean {
    return this.#slot === slot;
  }

  /** Whether the slot has what was computed under this salt, as far as this process knows. */
  hasComputed(salt: string): boolean {
    return this.#content?.salt === salt && !this.#content.isFromFile;
  }

  /** Content that must be erased before a request under this salt comes into whichever slot; null: there is none. */
  unsoundFor(salt: string): number | null {
    return this.#slot !== null && this.plan(this.#slot, salt).erase ? this.#slot : null;
  }

  /** A request under this salt is sent past this class. @returns whether this process has seen the salt before. */
  passed(salt: string): boolean {
    const { reuse } = this.plan(this.#slot ?? 0, salt);
    this.enter({ salt, isFromFile: false });
    return reuse;
  }

  /** How a request under this salt has to treat the slot. Changes nothing. */
  plan(slot: number, salt: string): SlotUse {
    const content = this.#content;
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
  enter({ salt, isFromFile }: Pick<SlotUse, 'salt' | 'isFromFile'>): void {
    this.#knownSalts.add(salt);
    this.#content = { salt, isFromFile };
  }

  /** The slot was filled from a file. */
  filledFromFile(salt: string): void {
    this.#knownSalts.add(salt);
    this.#content = { salt, isFromFile: true, isAwaited: true };
  }

  /** A turn was built on what the slot holds, so it had been found sound; or nothing of the file was left. */
  noLongerFromFile(): void {
    if (this.#content) this.#content = { salt: this.#content.salt, isFromFile: false };
  }

  /** The slot is empty, or its content is unknown. */
  emptied(): void {
    this.#content = null;
  }

  /** A restore was refused here. */
  refused(slot: number): void {
    this.#unfit.add(slot);
    this.#content = null;
  }
}

/** Whether no slot has had a request since the server started; false where the server does not tell. */
export async function isUnused(link: Link, { showsSlots }: ServerIdentity, signal: AbortSignal): Promise<boolean> {
  if (!showsSlots) return false;
  const { value } = await link.json(slotsRequest, slotsSchema, signal);
  return value.every(({ id_task: task }) => task === undefined || task === null || task < 0);
}

/** Every slot, where the server does not show them. */
async function idleSlots(link: Link, server: ServerIdentity, signal: AbortSignal): Promise<readonly number[]> {
  const all = Array.from({ length: server.slots }, (_, slot) => slot);
  if (!server.showsSlots) return all;
  const { value } = await link.json(slotsRequest, slotsSchema, signal);
  const idle = new Set(value.filter((slot) => !slot.is_processing).map(({ id }) => id));
  return all.filter((slot) => idle.has(slot));
}
