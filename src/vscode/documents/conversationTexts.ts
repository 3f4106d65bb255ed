import type { Disposable } from '../../base/disposable.ts';
import { Emitter } from '../../base/emitter.ts';
import type { Change } from '../../protocol/signals.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import { conversationText } from '../../words/conversationText.ts';

const messagesShown = 100;

type Said = Pick<Message, 'role' | 'content' | 'cut'>;

interface Loaded {
  readonly session: Session;
  readonly messages: readonly Said[];
  /** Messages before these. */
  readonly earlier: number;
}

interface Pending {
  readonly text: string;
  answer: string;
  /** Version of the newest record that a signal named; infinite when a signal named none. */
  changedTo: number;
}

/** The texts of the conversations that are open as documents: the stored messages, and the answer that is arriving. */
export class ConversationTexts implements Disposable {
  readonly #connection: BackendConnection;
  readonly #loaded = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<Loaded>>();
  readonly #pending = new Map<string, Pending>();
  readonly #unsent = new Map<string, string>();
  /** Sessions whose text was read. A text that could not be fetched is fetched when a backend is there again. */
  readonly #read = new Set<string>();
  readonly #changed: Emitter<string>;
  readonly #subscription: Disposable;

  constructor(connection: BackendConnection, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#changed = new Emitter<string>(onError);
    this.#subscription = connection.onChange((change) => this.#follow(change));
  }

  /** Calls the listener with the id of the session whose text has changed. */
  onChange(listener: (session: string) => void): Disposable {
    return this.#changed.subscribe(listener);
  }

  /** @throws CwmError when the session is gone or the backend cannot be reached. */
  async text(session: string): Promise<string> {
    this.#read.add(session);
    const loaded = this.#loaded.get(session) ?? (await this.#load(session));
    return conversationText({
      title: loaded.session.title,
      messages: loaded.messages,
      earlier: loaded.earlier,
      pending: this.#pending.get(session) ?? null,
    });
  }

  /**
   * Shows `text` as sent until `work` ends, and behind it the pieces of the answer that `work` passes on. Then both join the messages
   * without another request, unless another client changed the session too.
   */
  async during(
    session: Session,
    text: string,
    work: (onText: (piece: string) => void) => Promise<SendResult>,
  ): Promise<SendResult> {
    const { id } = session;
    this.#unsent.set(id, text);
    // Before the turn: afterwards the stored messages have the sent text, which would then show twice.
    if (!this.#loaded.has(id)) await this.#load(id, session);
    const pending: Pending = { text, answer: '', changedTo: 0 };
    this.#pending.set(id, pending);
    this.#changed.emit(id);
    try {
      const result = await work((piece) => {
        pending.answer += piece;
        this.#changed.emit(id);
      });
      this.#unsent.delete(id);
      this.#add(id, pending, result);
      return result;
    } catch (error) {
      // The backend has it as a message, with what came of the answer.
      if (pending.answer !== '') this.#unsent.delete(id);
      this.#loaded.delete(id);
      throw error;
    } finally {
      this.#pending.delete(id);
      this.#changed.emit(id);
    }
  }

  /** Adds a turn to the loaded messages. If it does not follow on them, the next reader fetches them. */
  #add(id: string, { text, changedTo }: Pending, { fromVersion, version, text: answer }: SendResult): void {
    const loaded = this.#loaded.get(id);
    const follows = loaded !== undefined && fromVersion === loaded.session.version;
    if (!follows || version === undefined || changedTo > version) {
      this.#loaded.delete(id);
      return;
    }
    const all = [...loaded.messages, said('user', text), said('assistant', answer)];
    const messages = all.slice(-messagesShown);
    const earlier = loaded.earlier + all.length - messages.length;
    this.#loaded.set(id, { session: { ...loaded.session, version }, messages, earlier });
  }

  /** The last text that could not be sent. The backend stores a draft only of a text that reached it. */
  unsent(session: string): string | undefined {
    return this.#unsent.get(session);
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }

  #follow(change: Change): void {
    if (change.type === 'session') this.#followSession(change.session, change.version);
    if (change.type !== 'resync') return;
    this.#loaded.clear();
    this.#loading.clear();
    for (const session of this.#read) this.#changed.emit(session);
  }

  #followSession(id: string, version: number = Number.POSITIVE_INFINITY): void {
    const pending = this.#pending.get(id);
    if (pending) {
      // The stored copy of an answer that is still arriving would show twice.
      pending.changedTo = Math.max(pending.changedTo, version);
      return;
    }
    const loaded = this.#loaded.get(id);
    if (loaded && loaded.session.version >= version) return;
    this.#loading.delete(id);
    this.#loaded.delete(id);
    if (this.#read.has(id)) this.#changed.emit(id);
  }

  /**
   * Several callers share one fetch. A change during the fetch starts another one.
   *
   * @param known the session's record, where the caller has it.
   */
  #load(id: string, known?: Session): Promise<Loaded> {
    const running = this.#loading.get(id);
    if (running !== undefined) return running;
    const isCurrent = (): boolean => this.#loading.get(id) === loading;
    const load = async (): Promise<Loaded> => {
      try {
        const loaded = await this.#fetch(id, known);
        if (!isCurrent()) return await this.#load(id);
        this.#loaded.set(id, loaded);
        return loaded;
      } finally {
        if (isCurrent()) this.#loading.delete(id);
      }
    };
    const loading = load();
    this.#loading.set(id, loading);
    return loading;
  }

  async #fetch(id: string, known?: Session): Promise<Loaded> {
    const session = known ?? (await this.#connection.call('getSession', { session: id }));
    if (session.branches[session.activeBranch]?.length === 0) return { session, messages: [], earlier: 0 };
    const first = await this.#connection.call('listMessages', { session: id, limit: messagesShown });
    const earlier = Math.max(0, first.total - messagesShown);
    const { items } =
      earlier === 0
        ? first
        : await this.#connection.call('listMessages', { session: id, limit: messagesShown, offset: earlier });
    return { session, messages: items, earlier };
  }
}

const said = (role: Message['role'], text: string): Said => ({ role, content: { type: 'text', text } });
