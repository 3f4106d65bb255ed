import { asClientKnows, type ClientMessage, type ClientTurns } from '../../core/sessions/memory/clientTurns.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';
import { chainOf, rootOf } from '../recognition/canonical.ts';

/** A place in a session: what the client knows up to it names it. */
export interface Place {
  readonly session: SessionId;
  /** The stored message there. */
  readonly message: MessageId;
}

/** How much of a request is known. */
interface Found {
  /** Null: nothing is. */
  readonly place: Place | null;
  /** How many of the items lead to it. */
  readonly known: number;
}

const mostPlaces = 20_000;
/** Sessions of an earlier process that are looked through. */
const mostSessions = 50;

/** Which session with memory a request continues. Clients send the whole conversation, and no id. */
export class Talks {
  readonly #turns: ClientTurns;
  readonly #places = new Map<string, Place>();
  #restored: Promise<void> | null = null;

  constructor(turns: ClientTurns) {
    this.#turns = turns;
  }

  /** @throws CwmError ReadFailed. */
  async find(project: ProjectUri | null, items: readonly Item[]): Promise<Found> {
    await (this.#restored ??= this.#restore());
    let found: Found = { place: null, known: 0 };
    let chain = rootOf(project);
    for (const [at, item] of items.entries()) {
      chain = chainOf(chain, item);
      const place = this.#places.get(chain);
      if (place) found = { place, known: at + 1 };
    }
    return found;
  }

  /** A conversation ends with these items at this place now. */
  put(project: ProjectUri | null, items: readonly Item[], place: Place): void {
    this.#put(items.reduce(chainOf, rootOf(project)), place);
  }

  #put(chain: string, place: Place): void {
    this.#places.delete(chain);
    this.#places.set(chain, place);
    const [oldest] = this.#places.keys();
    if (this.#places.size > mostPlaces && oldest !== undefined) this.#places.delete(oldest);
  }

  async #restore(): Promise<void> {
    const known = await this.#turns.known(mostSessions);
    // The one that was used last counts where two begin alike.
    for (const { session, messages } of [...known].reverse()) {
      let chain = rootOf(session.project);
      for (const said of asClientKnows(messages)) {
        chain = chainOf(chain, itemOf(said));
        this.#put(chain, { session: session.id, message: said.id });
      }
    }
  }
}

function itemOf({ role, content }: ClientMessage): Item {
  const text = 'text' in content ? content.text : '';
  if (content.type === 'tool-result') return { role, text, callId: content.call };
  return { role, text, ...('calls' in content && { calls: content.calls }) };
}
