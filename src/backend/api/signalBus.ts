import { Emitter } from '../../base/emitter.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { Change, NamedEvent } from '../../protocol/signals.ts';

const defaultRemembered = 4096;
/** With its sequence a signal then stays under 1 KB (S4-40). */
const maxChangeBytes = 960;

/** `sequence` grows by one with each. */
export interface Numbered<Item> {
  readonly sequence: number;
  readonly change: Item;
}

/**
 * Numbers the changes of this backend and remembers the latest ones, so that every reader reads at its own pace. A slow reader delays
 * nobody and costs no memory: it gets a `resync` for the signals that the bus has forgotten.
 */
export class SignalBus<Item = Change> implements Disposable {
  readonly #remembered: Numbered<Item>[] = [];
  readonly #resync: Item;
  readonly #maxRemembered: number;
  readonly #added = new Emitter<void>();
  #sequence: number;

  /**
   * @param firstSequence a number that no earlier backend of this storage directory has reached, so that a client of an earlier
   *   backend gets a `resync`.
   * @param maxRemembered how many signals a reader can be behind; default 4096.
   * @param resync what stands for all that a reader missed; default: that of signals.
   */
  constructor(
    firstSequence: number,
    maxRemembered: number = defaultRemembered,
    resync: Item = { type: 'resync' } satisfies Change as Item,
  ) {
    this.#resync = resync;
    this.#sequence = firstSequence;
    this.#maxRemembered = maxRemembered;
  }

  /** Readers that wait for the next signal. */
  get readers(): number {
    return this.#added.listenerCount;
  }

  /** Sequence of the latest signal. */
  get head(): number {
    return this.#sequence;
  }

  /** A change with a name that is too long for a signal becomes a `resync`: clients then pull everything. */
  publish(change: Item): void {
    const isShort = Buffer.byteLength(JSON.stringify(change)) <= maxChangeBytes;
    this.#remembered.push({ sequence: ++this.#sequence, change: isShort ? change : this.#resync });
    if (this.#remembered.length > this.#maxRemembered)
      this.#remembered.splice(0, this.#remembered.length - this.#maxRemembered);
    this.#added.emit();
  }

  /** The signals after `sequence`; one `resync` when they are forgotten, or `sequence` is none of this backend. */
  after(sequence: number): readonly Numbered<Item>[] {
    const missed = this.#sequence - sequence;
    if (missed === 0) return [];
    if (missed < 0 || missed > this.#remembered.length) return [{ sequence: this.#sequence, change: this.#resync }];
    return this.#remembered.slice(this.#remembered.length - missed);
  }

  /** After each signal. */
  onAdded(listener: () => void): Disposable {
    return this.#added.subscribe(listener);
  }

  dispose(): void {
    this.#added.dispose();
  }
}

export type ContentDelta = Extract<NamedEvent, { readonly name: 'ContentDelta' }>;

/**
 * What changed, in the words of the API that other programs know (S4-40). Pieces of answers are told to those that listen at that moment and
 * are not remembered: they would push everything else out, and each can be pulled.
 */
export class NamedEvents {
  readonly bus: SignalBus<NamedEvent>;
  readonly deltas = new Emitter<ContentDelta>();

  constructor(firstSequence: number) {
    this.bus = new SignalBus<NamedEvent>(firstSequence, undefined, { name: 'Resync', data: {} });
  }

  changed(change: Change): void {
    const event = named(change);
    if (event) this.bus.publish(event);
  }

  tell(event: NamedEvent): void {
    if (event.name === 'ContentDelta') this.deltas.emit(event);
    else this.bus.publish(event);
  }
}

/** Null: a stream has its own. */
function named(change: Change): NamedEvent | null {
  switch (change.type) {
    case 'session': {
      const { session, version } = change;
      const told = { context_id: session, new_state: change.phase ?? null, ...(version && { version }) };
      return { name: 'StateChanged', data: told };
    }
    case 'state':
      return { name: 'TrackerChanged', data: { context_id: change.session } };
    case 'window':
      return { name: 'WindowChanged', data: { window: change.window } };
    case 'engine':
      return { name: 'EngineChanged', data: { engine: change.spec } };
    case 'project':
      return { name: 'ProjectChanged', data: { project: change.project } };
    case 'client':
      return { name: 'ClientChanged', data: { client: change.client } };
    case 'resync':
      return { name: 'Resync', data: {} };
    case 'heartbeat':
      return null;
  }
}
