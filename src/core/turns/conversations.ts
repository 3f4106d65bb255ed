import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { MessageStore } from '../ports/messages.ts';

/** Messages of all conversations in memory together. */
const mostMessages = 50_000;
/** A user, or the programs of one, have a turn in few of them at the same time. */
const mostConversations = 100;

interface Known {
  readonly head: MessageId;
  readonly messages: readonly Message[];
}

/**
 * The conversations that had a turn lately. Messages never change, so that the last one names all of them: a turn in a long session reads
 * no file of an earlier message again.
 */
export class Conversations {
  readonly #store: MessageStore;
  /** The session that had a turn last comes last. */
  readonly #known = new Map<SessionId, Known>();

  constructor(store: MessageStore) {
    this.#store = store;
  }

  /** Messages of the active branch, oldest first. @throws CwmError as {@link MessageStore.load}; Corrupted says how to continue. */
  async of({ id, branches, activeBranch }: Session): Promise<readonly Message[]> {
    const head = branches[activeBranch]?.head ?? null;
    if (head === null) return [];
    const known = this.#known.get(id);
    if (known?.head === head) return known.messages;
    const ids = await this.#store.chain(id, head);
    const before = known?.messages ?? [];
    let shared = 0;
    while (shared < ids.length && before[shared]?.id === ids[shared]) shared++;
    const messages = [...before.slice(0, shared), ...(await this.#load(id, ids.slice(shared)))];
    this.#remember(id, { head, messages });
    return messages;
  }

  async #load(id: SessionId, ids: readonly MessageId[]): Promise<readonly Message[]> {
    try {
      return await this.#store.load(id, ids);
    } catch (error) {
      if (!isCwmError(error, 'Corrupted')) throw error;
      // A model that is not told of the gap would answer another conversation than the one that the user reads.
      throw new CwmError('Corrupted', `A message of session "${id}" is damaged. ${error.message}`, {
        cause: error,
        hint:
          'Run "cwm verify --repair": a marked placeholder takes the place of the lost text, and the session continues. ' +
          'Or continue on a branch at an earlier message.',
        context: { session: id },
      });
    }
  }

  /** What a turn added to its conversation is in memory, too. @returns the conversation with it. */
  added(id: SessionId, before: readonly Message[], added: readonly Message[]): readonly Message[] {
    const messages = [...before, ...added];
    const head = added.at(-1)?.id;
    if (head !== undefined) this.#remember(id, { head, messages });
    return messages;
  }

  forget(id: SessionId): void {
    this.#known.delete(id);
  }

  #remember(id: SessionId, known: Known): void {
    this.#known.delete(id);
    this.#known.set(id, known);
    let total = 0;
    for (const { messages } of this.#known.values()) total += messages.length;
    for (const [other, { messages }] of this.#known) {
      if ((total <= mostMessages && this.#known.size <= mostConversations) || other === id) return;
      this.#known.delete(other);
      total -= messages.length;
    }
  }
}
