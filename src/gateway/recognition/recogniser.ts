import { randomId } from '../../base/hash.ts';
import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Asked, Item } from '../formats/item.ts';
import { isAuxiliary } from './auxiliary.ts';
import { breakOf, type ChangedMessage, type PrefixBreak } from './breaks.ts';
import { canonical, shortHash, toolsKey, toolsOfKey } from './canonical.ts';
import { Conversations } from './conversations.ts';
import { KnownConversations } from './knownConversations.ts';
import type { Conversation, Said } from './said.ts';
import type { ScratchIndex } from './scratchIndex.ts';

/** Who asks, and for what project. */
export interface Asker {
  readonly client: string;
  readonly project: ProjectUri | null;
  /** By which the client names its conversation; null: it does not. */
  readonly key: string | null;
  /** The key only says where KV may be shared: it chooses between several that fit, and proves nothing. Default: false. */
  readonly isOfCache?: boolean;
}

/** What a request is. */
export type Recognised =
  | { readonly kind: 'auxiliary'; readonly conversation: Conversation | null }
  | {
      readonly kind: 'turn';
      readonly conversation: Conversation;
      /** The last message before the answer. */
      readonly last: Said;
      /** Where each of the request's messages stands, the last one first. */
      readonly places: Iterable<Spoken>;
      /** How many of the request's messages were known. */
      readonly known: number;
      /** Null: its prompt begins with all of the one before it. */
      readonly prefixBreak: PrefixBreak | null;
    };

/** Who said a message, and where. */
export type Spoken = Pick<Said, 'chain' | 'role'>;

/** Tells which conversation a request belongs to, by the client's id of it or by what was said. Waits for nothing. */
export class Recogniser {
  readonly conversations: Conversations;
  readonly known: KnownConversations;
  /** Conversations that were used last, by who asks. */
  readonly #byAsker = new Map<string, Conversation[]>();

  constructor(index: ScratchIndex, known = new KnownConversations(index)) {
    this.known = known;
    this.conversations = new Conversations(index, (session) => known.get(session));
  }

  recognise(asked: Asked, asker: Asker, nowMs: number): Recognised | null {
    const { items } = asked;
    if (items.length === 0) return null;
    const named = asker.key === null ? null : this.known.named(asker.key);
    const match = this.conversations.find(items, asker.project, named, shortHash(asked.system));
    const meant = asker.isOfCache ? null : named;
    const isContinued =
      match.last !== null &&
      (match.last.conversation.session === meant?.session || goesOn(match.last, match.known, items));
    const known = isContinued ? match.known : 0;
    const recent = { conversations: this.#byAsker.get(askerKey(asker)) ?? [], nowMs };
    const there = isContinued ? (match.last?.conversation ?? null) : null;
    if (isAuxiliary(asked, { continued: there, named: meant }, recent))
      return { kind: 'auxiliary', conversation: there ?? named };
    const conversation = there ?? this.known.begin(randomId() as SessionId, asker.project, asker.client);
    this.known.use(conversation);
    if (asker.key !== null) this.known.name(conversation, asker.key);
    const isBranch = known > 0 && known < items.length && this.conversations.hasNext(match.last);
    const moved = match.moved.filter((at) => at < known);
    const changed = this.#moved(conversation, items, moved) ?? (isBranch ? { at: known, item: items[known]! } : null);
    const prefixBreak = this.#note(conversation, asked, asker, nowMs, changed);
    let last = isContinued ? match.last : null;
    const chains = match.chains.slice(0, known);
    for (const item of items.slice(known)) {
      last = this.conversations.add(conversation, last, item, false);
      chains.push(last.chain);
    }
    const places = items.map(({ role }, at) => ({ role, chain: chains[at]! })).reverse();
    if (last) last.waiting++;
    return last && { kind: 'turn', conversation, last, places, known, prefixBreak };
  }

  /** A request that names the answer behind which its messages stand. */
  goOn(from: Said, asked: Asked, asker: Asker, nowMs: number): Recognised {
    const { conversation } = from;
    this.known.use(conversation);
    if (asker.key !== null) this.known.name(conversation, asker.key);
    const [item] = asked.items;
    const changed = item && this.conversations.hasNext(from) ? { at: from.length, item } : null;
    const prefixBreak = this.#note(conversation, asked, asker, nowMs, changed);
    const added: Said[] = [];
    for (const item of asked.items) added.push(this.conversations.add(conversation, added.at(-1) ?? from, item, false));
    const last = added.at(-1) ?? from;
    last.waiting++;
    const { conversations } = this;
    const places: Iterable<Spoken> = {
      *[Symbol.iterator]() {
        yield* added.toReversed();
        for (let at: Said | null = from; at; at = conversations.before(at)) yield at;
      },
    };
    return { kind: 'turn', conversation, last, places, known: from.length, prefixBreak };
  }

  /** A request has ended. What has no answer is forgotten: nothing continues it, and it may be tens of megabytes. */
  ended(request: Recognised | null): void {
    if (request?.kind !== 'turn' || --request.last.waiting > 0) return;
    const { conversation, last } = request;
    this.conversations.drop(last);
    if (!conversation.hasAnswered && conversation.unstored === 0) this.forget(conversation);
  }

  ofSession(session: SessionId): Conversation | null {
    return this.known.get(session);
  }

  /** Those in memory. */
  get all(): Iterable<Conversation> {
    return this.known.recent.values();
  }

  /** Its session is gone. */
  forget(conversation: Conversation): void {
    this.conversations.forget(conversation);
    this.known.forget(conversation);
    for (const [asker, all] of this.#byAsker)
      this.#byAsker.set(
        asker,
        all.filter(({ session }) => session !== conversation.session),
      );
  }

  /** Requests about it come from who used it last, whichever process it began in. */
  #usedBy(asker: string, conversation: Conversation): void {
    const others = (this.#byAsker.get(asker) ?? []).filter(({ session }) => session !== conversation.session);
    this.#byAsker.delete(asker);
    this.#byAsker.set(asker, [conversation, ...others].slice(0, mostRecent));
    const [oldest] = this.#byAsker.keys();
    if (this.#byAsker.size > mostAskers && oldest !== undefined) this.#byAsker.delete(oldest);
  }

  /** The first question that is neither what was asked at first nor what the last request had there. Notes them all. */
  #moved(conversation: Conversation, items: readonly Item[], moved: readonly number[]): ChangedMessage | null {
    const before = conversation.moved;
    const keys = moved.map((at) => shortHash(`${at}\n${canonical(items[at]!)}`));
    conversation.moved = new Set(keys);
    const first = before === null ? -1 : keys.findIndex((key) => !before.has(key));
    const at = moved[first];
    return at === undefined ? null : { at, item: items[at]! };
  }

  #note(
    conversation: Conversation,
    { system, items, tools }: Asked,
    asker: Asker,
    nowMs: number,
    changed: ChangedMessage | null,
  ): PrefixBreak | null {
    const said = items.filter(({ role }) => role === 'user').map(({ text }) => text.trim());
    const now = { system, systemKey: shortHash(system), toolsKey: toolsKey(tools) };
    const isFirst = conversation.usedMs === 0;
    const found = breakOf(isFirst ? null : { ...conversation }, now, toolsOfKey, changed);
    this.#usedBy(askerKey(asker), conversation);
    conversation.usedMs = nowMs;
    conversation.system = system;
    conversation.systemKey = now.systemKey;
    conversation.toolsKey = now.toolsKey;
    conversation.firstText = said[0] ?? '';
    conversation.lastText = said.at(-1) ?? '';
    this.known.holdsTexts(conversation);
    return found;
  }
}

/** Conversations of one client in one project that an errand may be about. */
const mostRecent = 8;
/** Who asks names itself. */
const mostAskers = 256;

const askerKey = ({ client, project }: Asker): string => `${client}\n${project ?? ''}`;

/**
 * Whether a request goes on with what is known. Conversations often begin with the same words, so that a beginning without an answer is
 * one only for the same request again: the answer to it has failed, or still comes.
 */
function goesOn(last: Said, known: number, items: readonly Item[]): boolean {
  if (last.hasAnswer) return true;
  return known === items.length && !last.conversation.hasAnswered;
}
