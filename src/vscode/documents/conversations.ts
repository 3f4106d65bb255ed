import type { Disposable } from '../../base/disposable.ts';
import { Emitter } from '../../base/emitter.ts';
import type { Change } from '../../protocol/signals.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import { conversationText } from '../render/conversationText.ts';

const messagesShown = 100;

interface Loaded {
  readonly session: Session;
  readonly messages: readonly Message[];
  readonly earlier: number;
}

/** The conversations that are open as documents: what the backend has, and the answer that is arriving. */
export class Conversations implements Disposable {
  readonly #connection: BackendConnection;
  readonly #loaded = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<Loaded>>();
  readonly #pending = new Map<string, { text: string; answer: string }>();
  readonly #unsent = new Map<string, string>();
  /** Whose text somebody reads. What could not be fetched for them is fetched when a backend is found again. */
  readonly #read = new Set<string>();
  readonly #changed: Emitter<string>;
  readonly #subscription: Disposable;

  constructor(connection: BackendConnection, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#changed = new Emitter<string>(onError);
    this.#subscription = connection.onChange((change) => this.#follow(change));
  }

  /** With the id of the session whose text is another now. */
  onChange(listener: (session: string) => void): Disposable {
    return this.#changed.subscribe(listener);
  }

  /** @throws CwmError when the session is gone or the backend can't be reached. */
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

  /** Shows `text` as sent, and behind it the pieces of the answer that `work` hears, until `work` ends. */
  async during<T>(session: string, text: string, work: (onText: (piece: string) => void) => Promise<T>): Promise<T> {
    this.#unsent.set(session, text);
    // Once the backend works on it, it has the sent text among its messages, where it would show twice.
    if (!this.#loaded.has(session)) await this.#load(session);
    const pending = { text, answer: '' };
    this.#pending.set(session, pending);
    this.#changed.emit(session);
    try {
      const done = await work((piece) => {
        pending.answer += piece;
        this.#changed.emit(session);
      });
      this.#unsent.delete(session);
      return done;
    } finally {
      this.#pending.delete(session);
      this.#loaded.delete(session);
      this.#changed.emit(session);
    }
  }

  /** What was to be sent last and was not, whoever refused it: the backend keeps a draft only of what has reached it. */
  unsent(session: string): string | undefined {
    return this.#unsent.get(session);
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }

  #follow(change: Change): void {
    if (change.type === 'session' && !this.#pending.has(change.session)) {
      // While an answer arrives, the backend's own copy of it would show twice.
      this.#loading.delete(change.session);
      this.#loaded.delete(change.session);
      if (this.#read.has(change.session)) this.#changed.emit(change.session);
    } else if (change.type === 'resync') {
      this.#loaded.clear();
      this.#loading.clear();
      for (const session of this.#read) this.#changed.emit(session);
    }
  }

  /** Whoever asks meanwhile waits for the same; what has changed before it arrived is fetched anew. */
  #load(id: string): Promise<Loaded> {
    const running = this.#loading.get(id);
    if (running !== undefined) return running;
    const isCurrent = (): boolean => this.#loading.get(id) === loading;
    const load = async (): Promise<Loaded> => {
      try {
        const loaded = await this.#fetch(id);
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

  async #fetch(id: string): Promise<Loaded> {
    const session = await this.#connection.call('getSession', { session: id });
    const first = await this.#connection.call('listMessages', { session: id, limit: messagesShown });
    const earlier = Math.max(0, first.total - messagesShown);
    const { items } =
      earlier === 0
        ? first
        : await this.#connection.call('listMessages', { session: id, limit: messagesShown, offset: earlier });
    return { session, messages: items, earlier };
  }
}
