import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Conversation } from './said.ts';
import type { Entry, ScratchIndex } from './scratchIndex.ts';

/** What is known of a conversation that is not in memory. */
export type Head = Pick<
  Conversation,
  'session' | 'project' | 'lineage' | 'systemKey' | 'toolsKey' | 'client' | 'usedMs' | 'hasAnswered' | 'lastTokens'
> & { readonly keys: readonly string[] };

/** A client that names a conversation anew with each request must not fill the memory. */
const mostKeys = 16;

/**
 * The conversations, by their sessions and by the names that clients have for them. In memory are those that were used last, and those with messages
 * that are not stored; the others are in the index, without their texts.
 */
export class KnownConversations {
  readonly #index: ScratchIndex;
  readonly #most: number;
  readonly #mostTexts: number;
  /** The one that was used last is the last one. */
  readonly #recent = new Map<SessionId, Conversation>();
  /** Those of them whose texts are in memory, too: a system prompt may be a hundred thousand characters. */
  readonly #texts = new Set<Conversation>();
  /** Whose session is gone, while that could not be written. */
  readonly #gone = new Set<SessionId>();

  /** @param most in memory. @param mostTexts of them with their texts. */
  constructor(index: ScratchIndex, most = 1024, mostTexts = 128) {
    this.#index = index;
    this.#most = most;
    this.#mostTexts = mostTexts;
  }

  /** Those in memory. */
  get recent(): ReadonlyMap<SessionId, Conversation> {
    return this.#recent;
  }

  /** Null: it is not known, or its session is gone. */
  get(session: SessionId): Conversation | null {
    const known = this.#recent.get(session);
    if (known) return known;
    const head = this.#gone.has(session) ? null : this.#index.newest(headKey(session));
    if (head === null || head === gone) return null;
    const conversation = conversationOf(JSON.parse(head) as Head);
    this.use(conversation);
    return conversation;
  }

  begin(session: SessionId, project: ProjectUri | null, client: string): Conversation {
    const conversation = { ...conversationOf(newHead(session, project, client)), mayBeCold: false };
    this.use(conversation);
    return conversation;
  }

  /** The one that a client named so last. */
  named(key: string): Conversation | null {
    const session = this.#index.newest(nameKey(key));
    return session === null ? null : this.get(session as SessionId);
  }

  /** A name that cannot be written is none: what was said tells the conversation, too. */
  name(conversation: Conversation, key: string): void {
    const { session, keys } = conversation;
    try {
      if (this.#index.newest(nameKey(key)) !== session) this.#index.add([nameEntry(key, session)]);
    } catch {
      return;
    }
    keys.delete(key);
    keys.add(key);
    const [oldest] = keys;
    if (keys.size > mostKeys && oldest !== undefined) keys.delete(oldest);
  }

  /** It has a request, or is asked for. */
  use(conversation: Conversation): void {
    this.#recent.delete(conversation.session);
    this.#recent.set(conversation.session, conversation);
    if (this.#recent.size > this.#most) this.#evict(conversation);
  }

  /** Its texts are there now. */
  holdsTexts(conversation: Conversation): void {
    this.#texts.delete(conversation);
    this.#texts.add(conversation);
    const [oldest] = this.#texts;
    if (this.#texts.size > this.#mostTexts && oldest) this.#dropTexts(oldest);
  }

  /** Conversations of an earlier process, and how clients named them. @throws what the system says. */
  restore(heads: readonly Head[], named: ReadonlyMap<string, SessionId>): void {
    this.#index.add([...heads.map(headEntry), ...[...named].map(([key, session]) => nameEntry(key, session))]);
  }

  forget(conversation: Conversation): void {
    const { session } = conversation;
    this.#recent.delete(session);
    this.#texts.delete(conversation);
    try {
      this.#index.add([{ keys: [headKey(session)], value: gone }]);
    } catch {
      this.#gone.add(session);
    }
  }

  #dropTexts(conversation: Conversation): void {
    this.#texts.delete(conversation);
    Object.assign(conversation, { system: null, moved: null, firstText: '', lastText: '' });
  }

  /** All that have nothing unstored and are too many, as far as they can be written. */
  #evict(used: Conversation): void {
    for (const conversation of this.#recent.values()) {
      if (this.#recent.size <= this.#most) return;
      if (conversation.unstored > 0 || conversation === used) continue;
      try {
        this.#index.add([headEntry({ ...conversation, keys: [...conversation.keys] })]);
      } catch {
        return;
      }
      this.#recent.delete(conversation.session);
      this.#dropTexts(conversation);
    }
  }
}

const gone = 'gone';

const headKey = (session: SessionId): string => `conversation ${session}`;

const nameKey = (key: string): string => `name ${key}`;

const nameEntry = (key: string, session: SessionId): Entry => ({ keys: [nameKey(key)], value: session });

function headEntry(head: Head): Entry {
  const { session, project, lineage, systemKey, toolsKey, client, usedMs, hasAnswered, lastTokens, keys } = head;
  const value = { session, project, lineage, systemKey, toolsKey, client, usedMs, hasAnswered, lastTokens, keys };
  return { keys: [headKey(session)], value: JSON.stringify(value) };
}

/** Nobody knows what happened to its KV since it was used. */
const conversationOf = (head: Head): Conversation => ({
  ...head,
  keys: new Set(head.keys),
  system: null,
  moved: null,
  firstText: '',
  lastText: '',
  unstored: 0,
  mayBeCold: true,
});

/** One that had no request yet. */
export const newHead = (session: SessionId, project: ProjectUri | null, client: string): Head => ({
  session,
  project,
  lineage: null,
  systemKey: '',
  toolsKey: '',
  client,
  usedMs: 0,
  hasAnswered: false,
  lastTokens: 0,
  keys: [],
});
