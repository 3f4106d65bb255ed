import type { Message } from '../../protocol/schemas/session.ts';

/**
 * What is derived from the messages of a conversation one after another. A conversation that has grown since it was looked at is read from there on:
 * messages never change, so that the last one names all of them. Nothing is known of a conversation that is no longer in memory.
 */
export class MessageFold<State> {
  readonly #begin: () => State;
  readonly #read: (state: State, message: Message, at: number) => void;
  /** By the last message that was read. */
  readonly #known = new WeakMap<Message, { readonly length: number; readonly state: State }>();

  /** @param read adds a message to the state; `at` is its place in the conversation. */
  constructor(begin: () => State, read: (state: State, message: Message, at: number) => void) {
    this.#begin = begin;
    this.#read = read;
  }

  /** The state behind the last message. It changes with the next look. */
  of(messages: readonly Message[]): State {
    let read = messages.length;
    let state: State | null = null;
    for (; read > 0; read--) {
      state = this.#take(messages[read - 1]!, read);
      if (state !== null) break;
    }
    state ??= this.#begin();
    for (; read < messages.length; read++) this.#read(state, messages[read]!, read);
    const last = messages.at(-1);
    if (last) this.#known.set(last, { length: messages.length, state });
    return state;
  }

  /** A state goes on with one conversation: another one that begins alike is read from its beginning. */
  #take(last: Message, length: number): State | null {
    const known = this.#known.get(last);
    if (known?.length !== length) return null;
    this.#known.delete(last);
    return known.state;
  }
}
