import type { MessageId } from '../../protocol/ids.ts';

interface First {
  /** The message as it was sent first; null: only the model has written it until now. */
  raw: string | null;
  /** What must be equal where the first spelling takes the place of another one. */
  key: string;
  /** Arguments of the calls, as the model wrote them. Default: no calls. */
  readonly arguments?: readonly string[];
}

/** What was said, in the bytes in which the model server saw it first. In memory only: without them, a message is sent as the client writes it. */
export class FirstBytes {
  readonly #all = new Map<MessageId, First>();
  readonly #mostLength: number;
  #length = 0;

  /** @param mostLength of all, in characters. Default 32 Mi. */
  constructor(mostLength = 32 << 20) {
    this.#mostLength = mostLength;
  }

  of(id: MessageId): First | undefined {
    return this.#all.get(id);
  }

  put(id: MessageId, first: First): void {
    this.#length += lengthOf(first) - lengthOf(this.#all.get(id));
    this.#all.delete(id);
    this.#all.set(id, first);
    for (const [oldest, each] of this.#all) {
      if (this.#length <= this.#mostLength) break;
      this.#all.delete(oldest);
      this.#length -= lengthOf(each);
    }
  }
}

const lengthOf = (first: First | undefined): number =>
  first ? (first.raw ?? '').length + (first.arguments ?? []).join('').length : 0;
