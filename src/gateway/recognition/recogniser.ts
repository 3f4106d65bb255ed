import { randomId } from '../../base/hash.ts';
import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Asked, Item } from '../formats/item.ts';
import { isAuxiliary } from './auxiliary.ts';
import { breakOf, type PrefixBreak } from './breaks.ts';
import { shortHash, toolsKey } from './canonical.ts';
import { Conversations, hasAnswer, type Conversation, type Said } from './conversations.ts';

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
      /** How many of the request's messages were known. */
      readonly known: number;
      /** Null: its prompt begins with all of the one before it. */
      readonly prefixBreak: PrefixBreak | null;
    };

/** Tells which conversation a request belongs to, by the client's id of it or by what was said. Waits for nothing. */
export class Recogniser {
  readonly conversations = new Conversations();
  readonly #byKey = new Map<string, Conversation>();
  readonly #bySession = new Map<SessionId, Conversation>();
  readonly #byPlace = new Map<string, Conversation[]>();

  recognise(asked: Asked, asker: Asker, nowMs: number): Recognised | null {
    const { items } = asked;
    if (items.length === 0) return null;
    const named = (asker.key !== null && this.#byKey.get(asker.key)) || null;
    const match = this.conversations.find(items, asker.project, named, shortHash(asked.system));
    const meant = asker.isOfCache ? null : named;
    const isContinued =
      match.last !== null && (match.last.conversation === meant || goesOn(match.last, match.known, items));
    const known = isContinued ? match.known : 0;
    const place = placeOf(asker);
    const recent = { conversations: this.#byPlace.get(place) ?? [], nowMs };
    const there = isContinued ? (match.last?.conversation ?? null) : null;
    if (isAuxiliary(asked, { continued: there, named: meant }, recent))
      return { kind: 'auxiliary', conversation: there ?? named };
    const conversation = there ?? this.#begin(asker);
    if (asker.key !== null) this.nameBy(conversation, asker.key);
    const isBranch = known > 0 && known < items.length && this.conversations.hasNext(match.last);
    const prefixBreak = this.#note(conversation, asked, asker, nowMs, isBranch);
    let last = isContinued ? match.last : null;
    for (const item of items.slice(known)) last = this.conversations.add(conversation, last, item, false);
    return last && { kind: 'turn', conversation, last, known, prefixBreak };
  }

  /** A request that names the answer behind which its messages stand. */
  goOn(from: Said, asked: Asked, asker: Asker, nowMs: number): Recognised {
    const { conversation } = from;
    if (asker.key !== null) this.nameBy(conversation, asker.key);
    const prefixBreak = this.#note(conversation, asked, asker, nowMs, this.conversations.hasNext(from));
    let last = from;
    for (const item of asked.items) last = this.conversations.add(conversation, last, item, false);
    return { kind: 'turn', conversation, last, known: from.length, prefixBreak };
  }

  get all(): Iterable<Conversation> {
    return this.#bySession.values();
  }

  ofSession(session: SessionId): Conversation | null {
    return this.#bySession.get(session) ?? null;
  }

  /** A conversation of an earlier process. */
  known(conversation: Conversation): void {
    this.#bySession.set(conversation.session, conversation);
  }

  /** The client names the conversation so. */
  nameBy(conversation: Conversation, key: string): void {
    this.#byKey.set(key, conversation);
    conversation.keys.add(key);
  }

  /** Its session is gone. */
  forget(conversation: Conversation): void {
    this.conversations.forget(conversation);
    this.#bySession.delete(conversation.session);
    for (const key of conversation.keys) if (this.#byKey.get(key) === conversation) this.#byKey.delete(key);
    for (const [place, all] of this.#byPlace)
      this.#byPlace.set(
        place,
        all.filter((each) => each !== conversation),
      );
  }

  #begin({ client, project }: Asker): Conversation {
    const conversation: Conversation = {
      session: randomId() as SessionId,
      project,
      lineage: null,
      systemKey: '',
      toolsKey: '',
      system: '',
      client,
      usedMs: 0,
      firstText: '',
      lastText: '',
      hasAnswered: false,
      lastTokens: 0,
      keys: new Set(),
      mayBeCold: false,
    };
    this.known(conversation);
    return conversation;
  }

  /** Requests about it come from where it was used last, whichever process it began in. */
  #usedIn(place: string, conversation: Conversation): void {
    const others = (this.#byPlace.get(place) ?? []).filter((each) => each !== conversation);
    this.#byPlace.set(place, [conversation, ...others].slice(0, mostRecent));
  }

  #note(
    conversation: Conversation,
    { system, items, tools }: Asked,
    asker: Asker,
    nowMs: number,
    isBranch: boolean,
  ): PrefixBreak | null {
    const said = items.filter(({ role }) => role === 'user').map(({ text }) => text.trim());
    const now = { system, toolsKey: toolsKey(tools) };
    const isFirst = conversation.usedMs === 0;
    const found = breakOf(isFirst ? null : { ...conversation }, now, isBranch);
    this.#usedIn(placeOf(asker), conversation);
    conversation.usedMs = nowMs;
    conversation.system = system;
    conversation.systemKey = shortHash(system);
    conversation.toolsKey = now.toolsKey;
    conversation.firstText = said[0] ?? '';
    conversation.lastText = said.at(-1) ?? '';
    return found;
  }
}

/** Conversations of one client in one project that an errand may be about. */
const mostRecent = 8;

const placeOf = ({ client, project }: Asker): string => `${client}\n${project ?? ''}`;

/**
 * Whether a request goes on with what is known. Conversations often begin with the same words, so that a beginning without an answer is
 * one only for the same request again: the answer to it has failed, or still comes.
 */
function goesOn(last: Said, known: number, items: readonly Item[]): boolean {
  if (hasAnswer(last)) return true;
  return known === items.length && !last.conversation.hasAnswered;
}
