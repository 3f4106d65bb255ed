import { ownText } from '../formats/ownText.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';

interface First {
  /** The message as it was sent first; null: only the model has written it until now. */
  raw: string | null;
  /** What must be equal where the first spelling takes the place of another one. */
  key: string;
  /** Arguments of the calls, as the model wrote them. Default: no calls. */
  readonly arguments?: readonly string[];
}

/** A message, or the system prompt or the tools of a conversation, in the form of a layout. */
type FirstOf = `${string} ${MessageId}` | `${string} system of ${SessionId}` | `${string} tools of ${SessionId}`;

/**
 * What was said, in the bytes in which the model server saw it first. In memory only: without them, a message is sent as the client writes it.
 * Of all, the spellings that no request has used for longest go first.
 */
export class FirstBytes {
  readonly #all = new Map<FirstOf, First>();
  readonly #mostLength: number;
  #length = 0;

  /** @param mostLength of all, in characters, 256 for each beside its text. Default 32 Mi. */
  constructor(mostLength = 32 << 20) {
    this.#mostLength = mostLength;
  }

  of(id: FirstOf): First | undefined {
    const first = this.#all.get(id);
    if (!first) return undefined;
    this.#all.delete(id);
    this.#all.set(id, first);
    return first;
  }

  put(id: FirstOf, first: First): void {
    const raw = first.raw === null ? null : ownText(first.raw);
    this.#length += lengthOf(first) - lengthOf(this.#all.get(id));
    this.#all.delete(id);
    this.#all.set(id, { ...first, raw });
    for (const [oldest, each] of this.#all) {
      if (this.#length <= this.#mostLength) break;
      this.#all.delete(oldest);
      this.#length -= lengthOf(each);
    }
  }
}

/** Of a short message, names and hashes take the most. */
const besideLength = 256;

const lengthOf = (first: First | undefined): number =>
  first ? besideLength + (first.raw ?? '').length + (first.arguments ?? []).join('').length : 0;
