import type { Disposable } from '../../base/disposable.ts';
import { Emitter } from '../../base/emitter.ts';
import type { Change } from '../../protocol/signals.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import type { Session, ShownMessage } from '../../protocol/schemas/session.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import { conversationText } from '../../words/conversationText.ts';
import { pullAnswer, type PulledAnswer } from './pullAnswer.ts';

/** How many messages are shown first, and how many more each time that the reader asks for earlier ones. */
const messagesShown = 100;

export type SaidMessage = Pick<
  ShownMessage,
  'id' | 'role' | 'content' | 'cut' | 'lost' | 'createdAt' | 'taken' | 'cost'
>;

/** What is being said at this moment. */
export interface AnswerInProgress {
  /** The user's message; null where it is among the messages already. */
  readonly text: string | null;
  readonly answer: string;
  /** What the model writes for itself. */
  readonly reasoning: string;
}

export interface Conversation {
  readonly session: Session;
  readonly messages: readonly SaidMessage[];
  /** Messages before these. */
  readonly earlier: number;
  readonly inProgress: AnswerInProgress | null;
}

interface Loaded {
  readonly session: Session & { readonly answering?: string | undefined };
  readonly messages: readonly SaidMessage[];
  readonly earlier: number;
}

interface Pending {
  readonly text: string;
  answer: string;
  /** Version of the newest record that a signal named; infinite when a signal named none. */
  changedTo: number;
}

/**
 * The conversations that are open in the editor: the stored messages, and the answer that is arriving. That of a message that this window
 * sent comes with the message's own request; that of any other turn is pulled.
 */
export class Conversations implements Disposable {
  readonly #connection: BackendConnection;
  readonly #loaded = new Map<string, Loaded>();
  /** Out of date; its messages are still right where the branch has the same end. */
  readonly #before = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<Loaded>>();
  readonly #pending = new Map<string, Pending>();
  readonly #pulled = new Map<string, PulledAnswer>();
  readonly #wanted = new Map<string, number>();
  readonly #unsent = new Map<string, string>();
  /** Sessions whose text was read. A text that could not be fetched is fetched when a backend is there again. */
  readonly #read = new Set<string>();
  readonly #changed: Emitter<string>;
  readonly #subscription: Disposable;
  readonly #disposed = new AbortController();

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
    const { session: record, messages, earlier, inProgress } = await this.read(session);
    return conversationText({ title: record.title, messages, earlier, pending: inProgress });
  }

  /** @throws CwmError when the session is gone or the backend cannot be reached. */
  async read(session: string): Promise<Conversation> {
    this.#read.add(session);
    const loaded = this.#loaded.get(session) ?? (await this.#load(session));
    const pending = this.#pending.get(session);
    if (pending) return { ...loaded, inProgress: { ...pending, reasoning: '' } };
    return { ...loaded, ...turnOfAnother(loaded, this.#pulled.get(session)) };
  }

  /** Loads earlier messages too. */
  showEarlier(session: string): void {
    this.#wanted.set(session, this.#wantedOf(session) + messagesShown);
    this.#before.delete(session);
    this.#loaded.delete(session);
    this.#loading.delete(session);
    this.#changed.emit(session);
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
    // Tools make several messages of one turn, which are shown as they are stored.
    if (session.settings?.tools) return this.#followed(id, work);
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
      this.#outdate(id);
      throw error;
    } finally {
      this.#pending.delete(id);
      this.#changed.emit(id);
    }
  }

  async #followed(id: string, work: (onText: (piece: string) => void) => Promise<SendResult>): Promise<SendResult> {
    let hasAnswer = false;
    try {
      const result = await work(() => (hasAnswer = true));
      hasAnswer = true;
      return result;
    } finally {
      if (hasAnswer) this.#unsent.delete(id);
    }
  }

  /** Adds a turn to the loaded messages. If it does not follow on them, the next reader fetches them. */
  #add(id: string, { text, changedTo }: Pending, result: SendResult): void {
    const { fromVersion, version, userMessageId, messageId, text: answer, finishReason, taken, cost } = result;
    const loaded = this.#loaded.get(id);
    const follows = loaded !== undefined && fromVersion === loaded.session.version;
    if (!follows || version === undefined || userMessageId === undefined || changedTo > version) {
      this.#outdate(id);
      return;
    }
    const all: readonly SaidMessage[] = [
      ...loaded.messages,
      said(userMessageId, 'user', text),
      {
        ...said(messageId, 'assistant', answer),
        ...(finishReason === 'length' && { cut: 'limit' }),
        ...(taken && { taken, cost }),
      },
    ];
    const messages = all.slice(-this.#wantedOf(id));
    const earlier = loaded.earlier + all.length - messages.length;
    this.#loaded.set(id, { session: { ...loaded.session, version }, messages, earlier });
  }

  /** The text is not lost where its sending fails before the turn. */
  hold(session: string, text: string): void {
    this.#unsent.set(session, text);
  }

  /** The last text that could not be sent. The backend stores a draft only of a text that reached it. */
  unsent(session: string): string | undefined {
    return this.#unsent.get(session);
  }

  dispose(): void {
    this.#disposed.abort();
    this.#subscription.dispose();
    this.#changed.dispose();
  }

  #wantedOf(session: string): number {
    return this.#wanted.get(session) ?? messagesShown;
  }

  #outdate(id: string): void {
    const loaded = this.#loaded.get(id);
    if (loaded) this.#before.set(id, loaded);
    this.#loaded.delete(id);
    this.#loading.delete(id);
  }

  #follow(change: Change): void {
    if (change.type === 'session') this.#followSession(change.session, change.version);
    if (change.type !== 'resync') return;
    for (const id of this.#loaded.keys()) this.#outdate(id);
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
    // A turn that another client began has the same version in each of its phases.
    if (loaded && loaded.session.version >= version && loaded.session.phase === 'Idle' && !this.#isUnderWay(id)) return;
    this.#outdate(id);
    if (this.#read.has(id)) this.#changed.emit(id);
  }

  #isUnderWay(id: string): boolean {
    return this.#pulled.has(id);
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
        this.#pull(loaded.session);
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
    const branch = session.branches[session.activeBranch];
    if (branch?.length === 0) return { session, messages: [], earlier: 0 };
    const before = this.#before.get(id);
    // The end of a branch names everything that leads to it.
    const end = before?.messages.at(-1)?.id;
    if (before && end !== undefined && end === branch?.head) return { ...before, session };
    const wanted = this.#wantedOf(id);
    const limit = messagesShown;
    const messages: SaidMessage[] = [];
    const first = await this.#connection.call('listMessages', { session: id, limit });
    const earlier = Math.max(0, first.total - wanted);
    if (earlier === 0) messages.push(...first.items);
    while (earlier + messages.length < first.total) {
      const offset = earlier + messages.length;
      const { items } = await this.#connection.call('listMessages', { session: id, limit, offset });
      if (items.length === 0) break;
      messages.push(...items);
    }
    return { session, messages, earlier };
  }

  #pull({ id, answering }: Loaded['session']): void {
    if (answering === undefined || this.#pulled.get(id)?.answerId === answering) return;
    const pulled: PulledAnswer = { answerId: answering, answer: '', reasoning: '' };
    this.#pulled.set(id, pulled);
    const isCurrent = (): boolean => this.#pulled.get(id) === pulled;
    const ended = (): void => {
      if (!isCurrent()) return;
      this.#pulled.delete(id);
      this.#outdate(id);
      this.#changed.emit(id);
    };
    const grown = (): void => void (isCurrent() && this.#changed.emit(id));
    void pullAnswer(this.#connection, id, pulled, grown, this.#disposed.signal).then(ended, ended);
  }
}

/** Phases in which the next word is the user's. */
const restPhases: ReadonlySet<Session['phase']> = new Set(['Idle', 'PermanentFailure', 'AwaitingToolApproval']);

/** What is in progress in a turn whose answer is pulled, and the messages without what it takes the place of. */
function turnOfAnother(
  { session, messages }: Loaded,
  pulled: PulledAnswer | undefined,
): Pick<Conversation, 'messages' | 'inProgress'> {
  if (restPhases.has(session.phase)) return { messages, inProgress: null };
  const { answer, reasoning } =
    pulled?.answerId === session.answering && pulled ? pulled : { answer: '', reasoning: '' };
  const last = messages.at(-1);
  const lastText = last?.content.type === 'text' ? last.content.text : null;
  // A continued answer takes the place of the cut one.
  const continues = last?.cut !== undefined && lastText !== null && answer.startsWith(lastText);
  const isStored = last?.role === 'user' && lastText === session.draft;
  return {
    messages: continues ? messages.slice(0, -1) : messages,
    inProgress: { text: isStored ? null : session.draft, answer, reasoning },
  };
}

const said = (id: SaidMessage['id'], role: SaidMessage['role'], text: string): SaidMessage => ({
  id,
  role,
  content: { type: 'text', text },
  createdAt: new Date().toISOString(),
});
