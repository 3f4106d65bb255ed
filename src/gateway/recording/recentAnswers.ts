import type { Answered, Before, Wire } from '../formats/format.ts';
import type { Item } from '../formats/item.ts';
import { objectOf, parsed, textOf } from '../formats/json.ts';
import { nameOf } from '../recognition/indexedMessage.ts';

/** One answer with the prompt that it answers. */
export interface RecentAnswer extends Answered {
  /** Who may name it by the server's id. */
  readonly client: string;
  /** In which it was asked for. */
  readonly wire: Wire;
  /** The id that the model server gave the client; null: the client has the gateway's. */
  readonly serverId: string | null;
}

/** What a client may continue by an answer's id although no session has it, such as an answer of a client that is not recorded. In memory only. */
export class RecentAnswers {
  readonly #all = new Map<string, RecentAnswer>();
  /** Answers by the ids that model servers gave them. */
  readonly #named = new Map<string, string>();
  /** Parts of answers by the ids that model servers gave them. */
  readonly #parts = new Map<string, { readonly answer: string; readonly at: number }>();
  readonly #mostLength: number;
  #length = 0;

  /** @param mostLength of all prompts, in characters. Default 32 Mi. */
  constructor(mostLength = 32 << 20) {
    this.#mostLength = mostLength;
  }

  put(id: string, answer: RecentAnswer): void {
    this.#all.set(id, answer);
    this.#length += lengthOf(answer);
    const { client, serverId } = answer;
    if (serverId !== null) this.#named.set(nameOf(client, serverId), id);
    for (const [at, part] of partIdsOf(answer).entries())
      if (part !== '') this.#parts.set(nameOf(client, part), { answer: id, at });
    for (const [oldest, each] of this.#all) {
      if (this.#length <= this.#mostLength) break;
      this.#forget(oldest, each);
    }
  }

  #forget(id: string, answer: RecentAnswer): void {
    this.#all.delete(id);
    this.#length -= lengthOf(answer);
    const { client, serverId } = answer;
    // A server may give an id twice.
    const name = serverId === null ? null : nameOf(client, serverId);
    if (name !== null && this.#named.get(name) === id) this.#named.delete(name);
    for (const part of partIdsOf(answer))
      if (this.#parts.get(nameOf(client, part))?.answer === id) this.#parts.delete(nameOf(client, part));
  }

  item(id: string): Item | null {
    return this.#all.get(id)?.item ?? null;
  }

  /** The gateway's id of the answer that a model server named so for this client. */
  named(client: string, serverId: string): string | null {
    return this.#named.get(nameOf(client, serverId)) ?? null;
  }

  /** A part of an answer, as the model server wrote it. */
  part(client: string, partId: string): object | null {
    const found = this.#parts.get(nameOf(client, partId));
    return found ? objectOf(parsed(this.#all.get(found.answer)?.output?.[found.at] ?? '')) : null;
  }

  /** What was said up to the answer. */
  upTo(id: string): Before | null {
    const answer = this.#all.get(id);
    return answer?.wire.before?.(answer) ?? null;
  }
}

const partIdsOf = ({ output }: Answered): readonly string[] =>
  (output ?? []).map((part) => textOf(objectOf(parsed(part))?.['id']));

const lengthOf = ({ sent, output }: RecentAnswer): number => sent.length + (output ?? []).join('').length;
