import type { ClientTurns, KnownMessage } from '../../core/sessions/memory/clientTurns.ts';
import { contentParts } from '../../core/ports/openAiMessages.ts';
import { clientTags } from '../clients/clientTags.ts';
import { otherName } from '../formats/content.ts';
import { nullOn } from '../../protocol/errors.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import { chatMessageOf, type Item } from '../formats/item.ts';
import { chainOf, isBehindEmpty, isEmptyAnswer, rootOf, shortHash } from '../recognition/canonical.ts';

/** Who asks. */
export interface MemoryAsker {
  readonly client: string;
  readonly project: ProjectUri | null;
  /** By which the client names the conversation; null: it does not. */
  readonly key: string | null;
  readonly system: string;
}

/** A conversation of one client, which is a session. */
export interface Talk {
  readonly session: SessionId;
  /** Tags of the session, one of which names the client. */
  readonly tags: readonly string[];
  readonly project: ProjectUri | null;
  /** Hash of its last request's system prompt. */
  systemKey: string;
  /** By which the client names it. */
  readonly keys: Set<string>;
  /** Ids of the calls that the client was asked for. */
  readonly calls: Set<string>;
}

/** Where a request goes on. */
export interface Place {
  readonly talk: Talk;
  /** The stored message there; null: nothing is stored. */
  readonly message: MessageId | null;
  /** Names what the client knows up to it. */
  readonly chain: string;
  /** How many of the request's items lead to it. */
  readonly known: number;
}

interface Stored {
  readonly talk: Talk;
  readonly message: MessageId;
}

const mostPlaces = 20_000;
/** Requests that failed before anything behind which the conversation could be found was stored. */
const mostUnanswered = 1_000;
/** Sessions of an earlier process that are looked through. */
const mostSessions = 50;

/** Which session with memory a request continues. Clients send the whole conversation, and no id. */
export class Talks {
  readonly #turns: ClientTurns;
  readonly #onFailure: (error: unknown, what: string) => void;
  /** What stands behind an answer, by the chain of what was said. The talk that was used last comes last. */
  readonly #places = new Map<string, readonly Stored[]>();
  readonly #unanswered = new Map<string, Place>();
  /** Answers by the ids that their clients have of them. */
  readonly #answers = new Map<MessageId, Stored>();
  #restored: Promise<void> | null = null;

  constructor(turns: ClientTurns, onFailure: (error: unknown, what: string) => void) {
    this.#turns = turns;
    this.#onFailure = onFailure;
  }

  /**
   * Of the client's own talks, the one that it names, else one whose calls the request has, else one with its system prompt; of those, the one that
   * has most of it. One that only begins alike is taken where it is alone: system prompts change.
   *
   * @returns null: none goes on with it.
   */
  async find(asker: MemoryAsker, items: readonly Item[]): Promise<Place | null> {
    await (this.#restored ??= this.#restore());
    const rankOf = ranking(asker, items);
    let found: { readonly place: Place; readonly rank: number; readonly isAlone: boolean } | null = null;
    let chain = rootOf(asker.project);
    for (const [at, item] of items.entries()) {
      chain = chainOf(chain, item);
      // The results of one message's calls belong together.
      if (item.role === 'tool' && items[at + 1]?.role === 'tool') continue;
      const keys = [chain, ...(isBehindEmpty(items, at) ? [emptyKey(chain)] : [])];
      const own = keys.flatMap((key) => this.#places.get(key) ?? []).filter(({ talk }) => isOf(talk, asker.client));
      const isAlone = new Set(own.map(({ talk }) => talk)).size === 1;
      for (const { talk, message } of own) {
        const rank = rankOf(talk);
        if (!found || rank >= found.rank) found = { place: { talk, message, chain, known: at + 1 }, rank, isAlone };
      }
    }
    if (found && (found.rank > 0 || found.isAlone)) return found.place;
    return this.#unanswered.get(unansweredKey(asker, chain)) ?? null;
  }

  /**
   * What was said up to an answer of one of the client's own talks, as chat messages, for a client that only names it.
   *
   * @returns null: there is none. @throws CwmError of the store.
   */
  async messagesUpTo(answer: MessageId, client: string): Promise<readonly object[] | null> {
    await (this.#restored ??= this.#restore());
    const found = this.#answers.get(answer);
    if (!found || !isOf(found.talk, client)) return null;
    const said = await nullOn(this.#turns.saidUpTo(found.talk.session, found.message), 'SessionNotFound', 'Corrupted');
    return said && said.map((each) => messageOf(itemOf(each), each.content));
  }

  /** A talk whose session was just made. */
  begun({ client, project, key, system }: MemoryAsker, session: SessionId): Talk {
    const keys = new Set(key === null ? [] : [key]);
    return { session, tags: clientTags(client), project, systemKey: shortHash(system), keys, calls: new Set() };
  }

  /**
   * A turn has ended.
   *
   * @param before where it went on; null: it was the first.
   * @param answer what the client got; null: the turn failed.
   */
  async ended(
    talk: Talk,
    before: Place | null,
    asker: MemoryAsker,
    { items, answer }: { readonly items: readonly Item[]; readonly answer: Item | null },
  ): Promise<void> {
    if (asker.key !== null) talk.keys.add(asker.key);
    talk.systemKey = shortHash(asker.system);
    const said = await this.#turns.said(talk.session);
    const at = before?.message ? said.findIndex(({ id }) => id === before.message) : -1;
    const isBehind = before !== null && at !== -1;
    this.#put(talk, said, isBehind ? { chain: before.chain, at: at + 1 } : { chain: rootOf(talk.project), at: 0 });
    const last = said.at(-1);
    // As the client has it, which the store may spell otherwise.
    if (answer && last) this.#putOne([...items, answer].reduce(chainOf, rootOf(talk.project)), answer, talk, last.id);
    if (answer) for (const [key, place] of this.#unanswered) if (place.talk === talk) this.#unanswered.delete(key);
    if (answer || items.some(({ role }) => role === 'assistant')) return;
    const known = Math.min(said.length, items.length);
    const message = said[known - 1]?.id ?? null;
    const chain = items.reduce(chainOf, rootOf(talk.project));
    const knownChain = items.slice(0, known).reduce(chainOf, rootOf(talk.project));
    bounded(this.#unanswered, mostUnanswered).set(unansweredKey(asker, chain), {
      talk,
      message,
      chain: knownChain,
      known,
    });
  }

  /** Its session is gone. */
  forget(talk: Talk): void {
    for (const [chain, all] of this.#places) {
      const left = all.filter((each) => each.talk !== talk);
      if (left.length === 0) this.#places.delete(chain);
      else if (left.length < all.length) this.#places.set(chain, left);
    }
    for (const [key, place] of this.#unanswered) if (place.talk === talk) this.#unanswered.delete(key);
    for (const [id, stored] of this.#answers) if (stored.talk === talk) this.#answers.delete(id);
  }

  /** Many conversations begin with the same words: a beginning without an answer names none. */
  #put(talk: Talk, said: readonly KnownMessage[], from: { readonly chain: string; readonly at: number }): void {
    let { chain } = from;
    let isAnswered = false;
    for (const [at, each] of said.entries()) {
      isAnswered ||= each.role === 'assistant';
      if (at < from.at) continue;
      const item = itemOf(each);
      chain = chainOf(chain, item);
      for (const { id } of item.calls ?? []) talk.calls.add(id);
      if (isAnswered) this.#putOne(chain, item, talk, each.id);
      if (each.role === 'assistant') bounded(this.#answers, mostPlaces).set(each.firstId, { talk, message: each.id });
    }
  }

  #putOne(chain: string, item: Item, talk: Talk, message: MessageId): void {
    const key = isEmptyAnswer(item) ? emptyKey(chain) : chain;
    const others = (this.#places.get(key) ?? []).filter((each) => each.talk !== talk);
    this.#places.delete(key);
    bounded(this.#places, mostPlaces).set(key, [...others, { talk, message }]);
  }

  /** A failure costs only the recognition of earlier conversations, until the next request. */
  async #restore(): Promise<void> {
    try {
      // The one that was used last counts where two begin alike.
      for (const { session, tags, system, branches } of [...(await this.#turns.known(mostSessions))].reverse()) {
        const { project, id } = session;
        const talk = {
          session: id,
          tags,
          project,
          systemKey: shortHash(system),
          keys: new Set<string>(),
          calls: new Set<string>(),
        };
        for (const said of branches) this.#put(talk, said, { chain: rootOf(project), at: 0 });
      }
    } catch (error) {
      this.#restored = null;
      this.#onFailure(error, 'earlier conversations with memory could not be read');
    }
  }
}

/** An empty answer has a place of its own behind what it answers: only what goes on behind it stands there. */
const emptyKey = (chain: string): string => `${chain} empty`;

const isOf = ({ tags }: Talk, client: string): boolean => {
  const [name] = clientTags(client);
  return name === undefined ? tags.length === 0 : tags.includes(name);
};

function ranking({ key, system }: MemoryAsker, items: readonly Item[]): (talk: Talk) => number {
  const systemKey = shortHash(system);
  const calls = [...new Set(items.flatMap(({ calls: own = [] }) => own.map(({ id }) => id)))];
  const known = new Map<Talk, number>();
  return (talk) => {
    const rank =
      known.get(talk) ??
      (key !== null && talk.keys.has(key) ? 4 : 0) +
        (calls.some((id) => talk.calls.has(id)) ? 2 : 0) +
        (talk.systemKey === systemKey ? 1 : 0);
    known.set(talk, rank);
    return rank;
  };
}

const unansweredKey = ({ client, key, system }: MemoryAsker, chain: string): string =>
  shortHash([client, key ?? '', shortHash(system), chain].join('\n'));

/** The map with room for one more: its oldest goes. */
function bounded<Key, Value>(map: Map<Key, Value>, most: number): Map<Key, Value> {
  const [oldest] = map.keys();
  if (map.size >= most && oldest !== undefined) map.delete(oldest);
  return map;
}

function itemOf({ role, content }: KnownMessage): Item {
  const text = 'text' in content ? content.text : '';
  if (content.type === 'tool-result') return { role, text, callId: content.call };
  const parts = content.type === 'text' ? (content.parts ?? []) : [];
  return {
    role,
    text,
    ...('calls' in content && { calls: content.calls }),
    ...(parts.length > 0 && { others: parts.map(({ part = {} }) => otherName(part)) }),
  };
}

const messageOf = (item: Item, said: KnownMessage['content']): object => {
  const { role, text, callId } = item;
  if (role === 'assistant') return chatMessageOf(item);
  const content = said.type === 'text' && said.parts ? contentParts(text, said.parts) : text;
  return { role, content, ...(callId !== undefined && { tool_call_id: callId }) };
};
