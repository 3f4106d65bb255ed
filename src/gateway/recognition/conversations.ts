import { randomId } from '../../base/hash.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';
import { canonical, chainOf, isBehindEmpty, isEmptyAnswer, rootOf, shortHash } from './canonical.ts';
import { entryOf, indexedMessageOf, keys, nameOf, serverNameOf, type Restored } from './indexedMessage.ts';
import { bestOf, isEmpty, isMeant, isSame, type Conversation, type Said } from './said.ts';
import type { ScratchIndex } from './scratchIndex.ts';

/** How much of a request is known. */
export interface Match {
  /** The last known message; null: none is. */
  readonly last: Said | null;
  /** How many of the request's items lead to it. */
  readonly known: number;
  /** Where each of these stands. */
  readonly chains: readonly string[];
  /** Numbers of those, from 0, that are not what was said there: questions that changed behind their answers. */
  readonly moved: readonly number[];
}

/** Of several conversations that say the same, so many can be meant without being named: those that said it last. */
const mostAlike = 64;

/**
 * Every conversation that came through the gateway, by what was said. A request is looked up by the chain of its messages, so that a
 * client needs no id of a conversation. In memory is only what is not stored yet; the rest is in an index on the disk.
 */
export class Conversations {
  readonly #index: ScratchIndex;
  readonly #conversationOf: (session: SessionId) => Conversation | null;
  /** Messages that are not in the index yet: by their chains, their ids, and the ids of what they stand behind. */
  readonly #byChain = new Map<string, Said[]>();
  readonly #byId = new Map<MessageId, Said>();
  readonly #followers = new Map<MessageId, number>();
  /** Answers by their clients, and the ids that model servers gave these. */
  readonly #named = new Map<string, Said>();
  /** An answer by what stood before the question and by the answer itself: clients change the question afterwards, and what stands before it. */
  readonly #byAnswer = new Map<string, Said[]>();
  /** Stored, and not in the index: a write has failed. */
  readonly #unwritten = new Set<Said>();

  /** @param conversationOf null where its session is gone. */
  constructor(index: ScratchIndex, conversationOf: (session: SessionId) => Conversation | null) {
    this.#index = index;
    this.#conversationOf = conversationOf;
  }

  /** Messages in memory. */
  get unstored(): number {
    return this.#byId.size;
  }

  /** By its message's id. */
  answer(id: MessageId): Said | null {
    const said = this.#message(id);
    return said?.isAnswer ? said : null;
  }

  /** By the id that a model server gave this client. */
  named(client: string, serverId: string): Said | null {
    const name = nameOf(client, serverId);
    const unstored = this.#named.get(name);
    if (unstored) return unstored;
    const value = this.#index.newest(keys.server(name));
    return value === null ? null : this.#saidOf(value);
  }

  /** The message that one stands behind; null for the first. */
  before({ before, beforeId }: Said): Said | null {
    return before ?? (beforeId === null ? null : this.#message(beforeId));
  }

  /**
   * @param preferred the conversation that the client named; of several that fit, it is meant.
   * @param systemKey hash of the request's system prompt, which tells apart conversations that say the same. Default: it tells nothing.
   */
  find(items: readonly Item[], project: ProjectUri | null, preferred: Conversation | null, systemKey = ''): Match {
    const answered = items.findLastIndex(({ role }) => role === 'assistant') + 1;
    const chains: string[] = [];
    const moved: number[] = [];
    let chain = rootOf(project);
    let last: Said | null = null;
    let meant: { readonly last: Said; readonly known: number } | null = null;
    const best = (known: number): Said | null =>
      this.#best(chains[known - 1]!, isBehindEmpty(items, known - 1), preferred, systemKey);
    const reached = (next: readonly string[]): void => {
      const from = chains.length + 1;
      chains.push(...next);
      for (let known = Math.max(from, answered); known <= chains.length; known++) {
        last = best(known);
        if (last && isMeant(last.conversation, preferred, systemKey, meant?.last ?? null)) meant = { last, known };
      }
      chain = chains.at(-1)!;
    };
    for (let isFirst = true; chains.length < items.length; isFirst = false) {
      const next = this.#known(chain, items.slice(chains.length), isFirst);
      if (next.length > 0) reached(next);
      const [item, answer] = items.slice(chains.length);
      if (item?.role !== 'user' || !answer) break;
      const asked =
        this.#answered(answerKey(chain, answer), preferred, systemKey) ??
        this.#answered(movedKey(chain, item, answer), preferred, systemKey);
      if (!asked) break;
      moved.push(chains.length);
      reached([asked.beforeChain, asked.chain]);
    }
    // Another conversation may have been asked the same question since.
    const found = meant as { readonly last: Said; readonly known: number } | null;
    if (found) return { ...found, chains: chains.slice(0, found.known), moved };
    if (chains.length > 0 && chains.length < answered) last = best(chains.length);
    return { last, known: chains.length, chains, moved };
  }

  /**
   * Chains of the items that are known behind a chain. What leads to a known message is known, so that a few of them are looked up: nearly always the
   * last ones of a request, otherwise those from the first one on, in growing steps.
   */
  #known(from: string, items: readonly Item[], isFromEnd: boolean): readonly string[] {
    const chains: string[] = [];
    const isKnown = (count: number): boolean => {
      while (chains.length < count) chains.push(chainOf(chains.at(-1) ?? from, items[chains.length]!));
      return this.#has(chains[count - 1]!);
    };
    let [known, unknown] = [0, items.length + 1];
    for (let step = 1; unknown - known > 1; step *= 2) {
      const next = isFromEnd ? Math.max(known + 1, unknown - step) : Math.min(unknown - 1, known + step);
      if (isKnown(next)) known = next;
      else unknown = next;
      // Between the two, half of what is left is looked at each time.
      if (isFromEnd ? known > 0 : unknown <= items.length) break;
    }
    while (unknown - known > 1) {
      const middle = (known + unknown) >> 1;
      if (isKnown(middle)) known = middle;
      else unknown = middle;
    }
    return chains.slice(0, known);
  }

  /** Whether something of the same conversation stands behind a message already. */
  hasNext(said: Said | null): boolean {
    if (said === null) return false;
    if (this.#isFollowed(said)) return true;
    for (const value of this.#index.find(keys.behind(said.id))) if (this.#saidOf(value)) return true;
    return false;
  }

  /** Adds one message behind another. A message that is there already is returned as it is, unless `isAnswer`. */
  add(
    conversation: Conversation,
    before: Said | null,
    item: Item,
    isAnswer: boolean,
    { id, serverId }: { readonly id?: MessageId; readonly serverId?: string | null } = {},
  ): Said {
    if (isAnswer) conversation.hasAnswered = true;
    const beforeChain = before?.chain ?? rootOf(conversation.project);
    const chain = chainOf(beforeChain, item);
    const beforeId = before?.id ?? null;
    const there = isAnswer ? undefined : this.#of(chain, conversation).find((said) => said.beforeId === beforeId);
    if (there) return there;
    const said: Said = {
      conversation,
      id: id ?? (randomId() as MessageId),
      beforeId,
      beforeChain,
      length: (before?.length ?? 0) + 1,
      chain,
      isAnswer,
      hasAnswer: isAnswer || before?.hasAnswer === true,
      role: item.role,
      ...(typeof serverId === 'string' && { serverId }),
      ...(item.calls && { callNames: Object.fromEntries(item.calls.map(({ id, name }) => [id, name])) }),
      answerKeys: isAnswer && before ? this.#answerKeys(before, item) : [],
      waiting: 0,
      item,
      before,
    };
    put(this.#byChain, chain, said);
    this.#byId.set(said.id, said);
    this.#follow(beforeId, 1);
    conversation.unstored++;
    if (said.serverId !== undefined) this.#named.set(nameOf(conversation.client, said.serverId), said);
    for (const key of said.answerKeys) put(this.#byAnswer, key, said);
    return said;
  }

  /** The messages are stored now, each behind the one before it. @throws what the system says; they stay in memory then. */
  stored(all: readonly Said[]): void {
    for (const said of all) {
      said.item = null;
      this.#unwritten.add(said);
    }
    const written = [...this.#unwritten];
    this.#index.add(
      written.map((said) => {
        const { session, client } = said.conversation;
        return entryOf({ ...said, session }, said.answerKeys, serverNameOf(client, said));
      }),
    );
    for (const said of written) {
      this.#release(said);
      said.before = null;
    }
  }

  /** Puts messages in that are known from earlier. @throws what the system says. */
  restore(all: readonly Restored[]): void {
    this.#index.add(
      all.map(({ message, answerKeys, client, serverId }) =>
        entryOf(message, answerKeys, serverNameOf(client, { serverId })),
      ),
    );
  }

  /** Takes back what a request added behind the stored messages: nothing will answer it, and it may be tens of megabytes. */
  drop(last: Said): void {
    for (let at: Said | null = last; at?.item && !at.isAnswer && !this.#isFollowed(at); at = at.before)
      this.#release(at);
  }

  /** Forgets what is in memory of a conversation whose session is gone. What is in the index is nobody's then. */
  forget(conversation: Conversation): void {
    for (const said of this.#byId.values()) if (isSame(said.conversation, conversation)) this.#release(said);
  }

  #isFollowed({ id }: Said): boolean {
    return this.#followers.has(id);
  }

  #follow(id: MessageId | null, by: number): void {
    if (id === null) return;
    const count = (this.#followers.get(id) ?? 0) + by;
    if (count > 0) this.#followers.set(id, count);
    else this.#followers.delete(id);
  }

  #release(said: Said): void {
    this.#unwritten.delete(said);
    if (!this.#byId.delete(said.id)) return;
    take(this.#byChain, said.chain, said);
    this.#follow(said.beforeId, -1);
    said.conversation.unstored--;
    const name = serverNameOf(said.conversation.client, said);
    if (name !== null && this.#named.get(name) === said) this.#named.delete(name);
    for (const key of said.answerKeys) take(this.#byAnswer, key, said);
  }

  /**
   * The one that the client named, else one with this system prompt, else the one that was used last.
   *
   * @param behindEmpty of what has this chain, an empty answer is meant, where there is one; otherwise none is.
   */
  #best(chain: string, behindEmpty: boolean, preferred: Conversation | null, systemKey: string): Said | null {
    const of = (all: readonly Said[]): Said | null => {
      const fitting = all.filter((said) => isEmpty(said) === behindEmpty);
      return bestOf(fitting.length > 0 ? fitting : all, systemKey);
    };
    const own = preferred && of(this.#of(chain, preferred));
    return own ?? of(this.#all(chain));
  }

  /** The oldest first. */
  #all(chain: string): readonly Said[] {
    return [...this.#stored(keys.chain(chain)), ...(this.#byChain.get(chain) ?? [])];
  }

  #has(chain: string): boolean {
    if (this.#byChain.has(chain)) return true;
    for (const value of this.#index.find(keys.chain(chain))) if (this.#saidOf(value)) return true;
    return false;
  }

  /** Those of one conversation, the oldest first. */
  #of(chain: string, conversation: Conversation): readonly Said[] {
    const unstored = (this.#byChain.get(chain) ?? []).filter((said) => isSame(said.conversation, conversation));
    return [...this.#stored(keys.own(chain, conversation.session)), ...unstored];
  }

  #message(id: MessageId): Said | null {
    const unstored = this.#byId.get(id);
    if (unstored) return unstored;
    const value = this.#index.newest(keys.id(id));
    return value === null ? null : this.#saidOf(value);
  }

  #answered(key: string, preferred: Conversation | null, systemKey: string): Said | null {
    const all = [...this.#stored(keys.answer(key)), ...(this.#byAnswer.get(key) ?? [])];
    const own = all.filter(({ conversation }) => isSame(conversation, preferred));
    return bestOf(own.length > 0 ? own : all, systemKey);
  }

  /** The oldest first, of those that came last. */
  #stored(key: string): readonly Said[] {
    const found: Said[] = [];
    for (const value of this.#index.find(key)) {
      const said = this.#saidOf(value);
      if (said) found.push(said);
      if (found.length === mostAlike) break;
    }
    return found.reverse();
  }

  #saidOf(value: string): Said | null {
    const { session, ...message } = indexedMessageOf(value);
    const conversation = this.#conversationOf(session);
    return conversation && { ...message, conversation, answerKeys: [], waiting: 0, item: null, before: null };
  }

  /**
   * Some clients put files before each question, with a word of thanks that no model wrote. In the next request, these stand behind the answer
   * (aider), so that the question follows what stood before them.
   */
  #answerKeys(question: Said, answer: Item): readonly string[] {
    const found: string[] = [];
    // An empty answer says nothing of its question.
    if (!isEmptyAnswer(answer)) found.push(answerKey(question.beforeChain, answer));
    else if (question.item) found.push(movedKey(question.beforeChain, question.item, answer));
    let before = question.item ? this.before(question) : null;
    while (question.item && before?.role === 'assistant' && !before.isAnswer && found.length <= mostMoved) {
      const asked: Said | null = this.before(before);
      found.push(movedKey(asked?.beforeChain ?? before.beforeChain, question.item, answer));
      before = asked && this.before(asked);
    }
    return found;
  }
}

function put(lists: Map<string, Said[]>, key: string, said: Said): void {
  const list = lists.get(key);
  if (list) list.push(said);
  else lists.set(key, [said]);
}

function take(lists: Map<string, Said[]>, key: string, said: Said): void {
  const others = lists.get(key)?.filter((each) => each !== said) ?? [];
  if (others.length > 0) lists.set(key, others);
  else lists.delete(key);
}

const answerKey = (before: string, answer: Item): string => shortHash(`${before}\n?\n${canonical(answer)}`);

/** Many answers are the same few words, so that the question has to begin with the same line. */
const movedKey = (before: string, question: Item, answer: Item): string =>
  answerKey(`${before}\n${question.text.trim().split('\n', 1)[0]?.trimEnd()}`, answer);

/** So much of it at most may stand between what was said and a question. */
const mostMoved = 4;
