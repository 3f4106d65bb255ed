import { randomId } from '../../base/hash.ts';
import type { LineageId, MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Item } from '../formats/item.ts';
import { canonical, chainOf, rootOf, shortHash } from './canonical.ts';

/** One conversation of a client: a session, perhaps one that is not stored yet. */
export interface Conversation {
  readonly session: SessionId;
  readonly project: ProjectUri | null;
  /** Whose salt its requests carry; null before its first one. */
  lineage: LineageId | null;
  /** Hashes of its last request's system prompt and tools. */
  systemKey: string;
  toolsKey: string;
  /** The system prompt of its last request in this process; empty before the first one. */
  system: string;
  /** The client's own word for itself. */
  client: string;
  /** When it had a request last, in milliseconds of the caller's clock. */
  usedMs: number;
  /** The user's first and last text, by which requests about the conversation are told apart. */
  firstText: string;
  lastText: string;
  /** It has an answer. */
  hasAnswered: boolean;
  /** Of its last prompt and answer; 0 where that is not known. */
  lastTokens: number;
  /** By which the client names it. */
  readonly keys: Set<string>;
  /** Its session may be frozen, or its KV may be out of the server's memory: something else than a turn of it happened. */
  mayBeCold: boolean;
}

/** A message of a conversation, in its place. */
export interface Said {
  readonly conversation: Conversation;
  readonly id: MessageId;
  readonly before: Said | null;
  /** 1 for the first. */
  readonly length: number;
  readonly chain: string;
  /** A model wrote it through this gateway. */
  readonly isAnswer: boolean;
  readonly role: Item['role'];
  /** Names of the tools that it calls, by the ids of the calls. */
  readonly callNames?: Readonly<Record<string, string>>;
  /** The id that the model server gave its client, where that is not ours. */
  readonly serverId?: string;
  /** Until it is stored; null afterwards. */
  item: Item | null;
  /** How many messages stand right behind it. Default: none. */
  followers?: number;
}

/** How much of a request is known. */
export interface Match {
  /** The last known message; null: none is. */
  readonly last: Said | null;
  /** How many of the request's items lead to it. */
  readonly known: number;
}

/**
 * Every conversation that came through the gateway, by what was said. A request is looked up by the chain of its messages, so that a
 * client needs no id of a conversation.
 */
export class Conversations {
  /** Most messages are alone with what leads to them: a list for each would take half as much memory again. */
  readonly #byChain = new Map<string, Said | Said[]>();
  readonly #answers = new Map<MessageId, Said>();
  /** Answers by their clients, and the ids that model servers gave these. */
  readonly #named = new Map<string, Said>();
  /** An answer by what stood before the question and by the answer itself: clients change the question afterwards, and what stands before it. */
  readonly #byAnswer = new Map<string, Said>();

  /** By its message's id. */
  answer(id: MessageId): Said | null {
    return this.#answers.get(id) ?? null;
  }

  /** By the id that a model server gave this client. */
  named(client: string, serverId: string): Said | null {
    return this.#named.get(nameOf(client, serverId)) ?? null;
  }

  /**
   * @param preferred the conversation that the client named; of several that fit, it is meant.
   * @param systemKey hash of the request's system prompt, which tells apart conversations that say the same. Default: it tells nothing.
   */
  find(items: readonly Item[], project: ProjectUri | null, preferred: Conversation | null, systemKey = ''): Match {
    const answered = items.findLastIndex(({ role }) => role === 'assistant') + 1;
    let chain = rootOf(project);
    let known = 0;
    let last: readonly Said[] = [];
    let meant: Match = { last: null, known: 0 };
    while (known < items.length) {
      const item = items[known]!;
      const next = chainOf(chain, item);
      const found = this.#at(next);
      if (found.length > 0) {
        [chain, last] = [next, found];
        known++;
      } else {
        const answer = items[known + 1];
        const asked =
          item.role === 'user' && answer
            ? (this.#byAnswer.get(answerKey(chain, answer)) ?? this.#byAnswer.get(movedKey(chain, item, answer)))
            : undefined;
        if (!asked) break;
        chain = asked.chain;
        last = this.#byChain.has(chain) ? this.#at(chain) : [asked];
        known += 2;
      }
      const best = known < answered ? null : bestOf(last, preferred, systemKey);
      if (best && isMeant(best.conversation, preferred, systemKey, meant.last)) meant = { last: best, known };
    }
    // Another conversation may have been asked the same question since.
    return meant.last ? meant : { last: bestOf(last, preferred, systemKey), known };
  }

  /** Whether something of the same conversation stands behind a message already. */
  hasNext(said: Said | null): boolean {
    return said !== null && (said.followers ?? 0) > 0;
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
    const chain = chainOf(before?.chain ?? rootOf(conversation.project), item);
    const there = this.#at(chain).find((said) => said.conversation === conversation && said.before === before);
    if (there && !isAnswer) return there;
    return this.put(
      {
        conversation,
        id: id ?? (randomId() as MessageId),
        before,
        length: (before?.length ?? 0) + 1,
        chain,
        isAnswer,
        role: item.role,
        ...(typeof serverId === 'string' && { serverId }),
        ...(item.calls && { callNames: Object.fromEntries(item.calls.map(({ id, name }) => [id, name])) }),
        item,
      },
      isAnswer && before ? answerKeys(conversation, before, item) : [],
    );
  }

  /** Puts a message in that is known from earlier. @param keys as {@link answerKeysOf} gives them. */
  put(said: Said, keys: readonly string[]): Said {
    const same = this.#byChain.get(said.chain);
    if (Array.isArray(same)) same.push(said);
    else this.#byChain.set(said.chain, same ? [same, said] : said);
    this.#follow(said.before, 1);
    if (said.isAnswer) this.#answers.set(said.id, said);
    if (said.serverId !== undefined) this.#named.set(nameOf(said.conversation.client, said.serverId), said);
    for (const key of keys) this.#byAnswer.set(key, said);
    return said;
  }

  /** Takes back what a request added behind the stored messages: nothing will answer it, and it may be tens of megabytes. */
  drop(last: Said): void {
    for (let at: Said | null = last; at?.item && !at.isAnswer && !this.hasNext(at); at = at.before) {
      this.#set(
        at.chain,
        this.#at(at.chain).filter((said) => said !== at),
      );
      this.#follow(at.before, -1);
    }
  }

  #at(chain: string): readonly Said[] {
    const found = this.#byChain.get(chain);
    if (found === undefined) return none;
    return Array.isArray(found) ? found : [found];
  }

  #set(chain: string, all: Said[]): void {
    const [only] = all;
    if (!only) this.#byChain.delete(chain);
    else this.#byChain.set(chain, all.length === 1 ? only : all);
  }

  #follow(said: Said | null, by: number): void {
    if (said) said.followers = (said.followers ?? 0) + by;
  }

  /** Forgets a conversation whose session is gone. */
  forget(conversation: Conversation): void {
    for (const chain of this.#byChain.keys()) {
      const all = this.#at(chain);
      const left = all.filter((said) => said.conversation !== conversation);
      if (left.length < all.length) this.#set(chain, left);
    }
    for (const [id, said] of this.#answers) if (said.conversation === conversation) this.#answers.delete(id);
    for (const [name, said] of this.#named) if (said.conversation === conversation) this.#named.delete(name);
    for (const [key, said] of this.#byAnswer) if (said.conversation === conversation) this.#byAnswer.delete(key);
  }
}

const none: readonly Said[] = [];

const nameOf = (client: string, serverId: string): string => `${client}\n${serverId}`;

/** By which an answer is found where its question has changed since; none for what is no answer. */
export const answerKeysOf = ({ isAnswer, before, conversation, item }: Said): readonly string[] =>
  isAnswer && before && item ? answerKeys(conversation, before, item) : [];

const answerKey = (before: string, answer: Item): string => shortHash(`${before}\n?\n${canonical(answer)}`);

/** Many answers are the same few words, so that the question has to begin with the same line. */
const movedKey = (before: string, question: Item, answer: Item): string =>
  answerKey(`${before}\n${question.text.trim().split('\n', 1)[0]?.trimEnd()}`, answer);

/** So much of it at most may stand between what was said and a question. */
const mostMoved = 4;

/**
 * Some clients put files before each question, with a word of thanks that no model wrote. In the next request, these stand behind the answer
 * (aider), so that the question follows what stood before them.
 */
function answerKeys(conversation: Conversation, question: Said, answer: Item): readonly string[] {
  const chainAt = (said: Said | null): string => said?.chain ?? rootOf(conversation.project);
  const keys = [answerKey(chainAt(question.before), answer)];
  let before = question.before;
  while (question.item && before?.role === 'assistant' && !before.isAnswer && keys.length <= mostMoved) {
    before = before.before?.before ?? null;
    keys.push(movedKey(chainAt(before), question.item, answer));
  }
  return keys;
}

/** The one that the client named, else one with this system prompt, else the one that was used last. */
function bestOf(all: readonly Said[], preferred: Conversation | null, systemKey: string): Said | null {
  let found: Said | null = null;
  for (const said of all) {
    const { conversation } = said;
    if (conversation === preferred) return said;
    if (!found || isBefore(conversation, found.conversation, systemKey)) found = said;
  }
  return found;
}

function isBefore(one: Conversation, other: Conversation, systemKey: string): boolean {
  const isSame = one.systemKey === systemKey;
  if (isSame !== (other.systemKey === systemKey)) return isSame;
  return one.usedMs >= other.usedMs;
}

/** @param before what is meant until now: what the client named is meant before what has the same system prompt. */
const isMeant = (one: Conversation, preferred: Conversation | null, systemKey: string, before: Said | null): boolean =>
  one === preferred || (one.systemKey === systemKey && (!before || before.conversation !== preferred));

/** Whether a model of this gateway wrote any of what leads to the message. */
export function hasAnswer(said: Said | null): boolean {
  for (let at = said; at; at = at.before) if (at.isAnswer) return true;
  return false;
}
