import { chatItem } from '../formats/chatCompletions.ts';
import { chatMessageOf, type Item } from '../formats/item.ts';
import { listOf, objectOf, parsed } from '../formats/json.ts';

/** One answer with the prompt that it answers. */
export interface RecentAnswer {
  /** The request, as the model server got it. */
  readonly sent: string;
  /** Its first message is the client's instructions, which every request of Responses has of its own. */
  readonly hasInstructions: boolean;
  readonly item: Item;
}

/** What a client may continue by an answer's id although no session has it, such as an answer of a client that is not recorded. In memory only. */
export class RecentAnswers {
  readonly #all = new Map<string, RecentAnswer>();
  readonly #mostLength: number;
  #length = 0;

  /** @param mostLength of all prompts, in characters. Default 32 Mi. */
  constructor(mostLength = 32 << 20) {
    this.#mostLength = mostLength;
  }

  put(id: string, answer: RecentAnswer): void {
    this.#all.set(id, answer);
    this.#length += answer.sent.length;
    for (const [oldest, { sent }] of this.#all) {
      if (this.#length <= this.#mostLength) break;
      this.#all.delete(oldest);
      this.#length -= sent.length;
    }
  }

  item(id: string): Item | null {
    return this.#all.get(id)?.item ?? null;
  }

  /** What was said up to the answer, as messages of a chat. */
  messages(id: string): readonly object[] | null {
    const answer = this.#all.get(id);
    if (!answer) return null;
    const sent = listOf(objectOf(parsed(answer.sent))?.['messages']) as readonly object[];
    return [...sent.slice(answer.hasInstructions ? 1 : 0), chatMessageOf(answer.item)];
  }
}

export const itemsOf = (messages: readonly object[]): readonly Item[] => messages.map(chatItem);
