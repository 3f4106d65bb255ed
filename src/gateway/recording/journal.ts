import { SerialQueue } from '../../base/serialQueue.ts';
import { listOf, objectOf, parsed, textOf, countOf } from '../formats/json.ts';
import type { LineageId, MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { IndexedMessage, Restored } from '../recognition/indexedMessage.ts';
import type { Conversation, Said } from '../recognition/said.ts';
import { newHead, type Head } from '../recognition/knownConversations.ts';
import { rootOf } from '../recognition/canonical.ts';
import type { Recogniser } from '../recognition/recogniser.ts';

/** Lines that outlive the process. They are an index: without them, conversations are not recognised, and nothing else is lost. */
export interface JournalFile {
  /** Oldest first; none where there is no file. */
  read(): Promise<readonly string[]>;
  append(lines: readonly string[]): Promise<void>;
  /** Stores lines that cannot be understood beside the others. */
  setAside(lines: readonly string[]): Promise<void>;
  /** Puts these lines in the place of all. */
  replace(lines: readonly string[]): Promise<void>;
}

/** A session that conversations of clients can be in. */
export interface KnownSession {
  readonly id: SessionId;
  readonly project: ProjectUri | null;
  readonly lineage: LineageId;
}

const roles = { system: 's', user: 'u', assistant: 'a', tool: 't' } as const;
const roleOf = { s: 'system', u: 'user', a: 'assistant', t: 'tool' } as const;

/** How the messages and conversations that were stored are found again by the next process. Texts are in it as hashes only. */
export class Journal {
  readonly #file: JournalFile;
  readonly #last = new WeakMap<Conversation, string>();
  readonly #appending = new SerialQueue();
  /** Lines that could not be written: without them, no later message of their conversations is found again. */
  #unwritten: string[] = [];

  constructor(file: JournalFile) {
    this.#file = file;
  }

  /** The message is stored now. */
  async stored(all: readonly Said[]): Promise<void> {
    const lines: string[] = [];
    for (const said of all) {
      const { conversation, id, beforeId, chain, isAnswer, role, callNames, serverId, answerKeys, isPartial } = said;
      const head = conversationLine(conversation);
      if (this.#last.get(conversation) !== head) lines.push(head);
      this.#last.set(conversation, head);
      lines.push(
        JSON.stringify({
          s: conversation.session,
          m: id,
          b: beforeId,
          c: chain,
          r: roles[role],
          ...(isAnswer && { a: 1 }),
          ...(answerKeys.length > 0 && { q: answerKeys.join(' ') }),
          ...(callNames && { n: callNames }),
          ...(serverId !== undefined && { i: serverId }),
          ...(isPartial === true && { l: 1 }),
        }),
      );
    }
    this.#unwritten.push(...lines);
    await this.#appending.run(async () => {
      const all = this.#unwritten;
      if (all.length === 0) return;
      this.#unwritten = [];
      try {
        await this.#file.append(all);
      } catch (error) {
        this.#unwritten = [...all, ...this.#unwritten];
        throw error;
      }
    });
  }

  /**
   * Tells the recogniser what earlier processes stored, and forgets sessions that are gone.
   *
   * @returns how many damaged lines were set aside.
   */
  async restore(recogniser: Recogniser, sessions: readonly KnownSession[]): Promise<number> {
    const known = new Map(sessions.map((session) => [session.id, session]));
    const heads = new Map<SessionId, { -readonly [Field in keyof Head]: Head[Field] }>();
    /** By which clients name them, the newest last. */
    const named = new Map<string, SessionId>();
    const messages = new Map<string, IndexedMessage>();
    let batch: Restored[] = [];
    const write = (): void => {
      recogniser.conversations.restore(batch);
      batch = [];
    };
    const lines = await this.#file.read();
    const kept: string[] = [];
    const damaged: string[] = [];
    for (const line of lines) {
      const row = objectOf(parsed(line));
      if (!row || textOf(row['s']) === '' || (typeof row['m'] === 'string' && textOf(row['c']) === '')) {
        damaged.push(line);
        continue;
      }
      const session = known.get(textOf(row['s']) as SessionId);
      if (!session) continue;
      kept.push(line);
      let head = heads.get(session.id);
      if (!head) {
        head = { ...newHead(session.id, session.project, ''), lineage: session.lineage };
        heads.set(session.id, head);
      }
      if (typeof row['m'] !== 'string') {
        const names = listOf(row['k']).map(textOf);
        Object.assign(head, {
          systemKey: textOf(row['y']),
          toolsKey: textOf(row['t']),
          client: textOf(row['p']),
          keys: names,
        });
        for (const name of names) {
          named.delete(name);
          named.set(name, session.id);
        }
        continue;
      }
      const before = row['b'] === null ? null : messages.get(textOf(row['b']));
      // A line that was written in part was written again.
      if (before === undefined || messages.has(textOf(row['m']))) continue;
      const isAnswer = countOf(row['a']) === 1;
      const message: IndexedMessage = {
        session: session.id,
        id: row['m'] as MessageId,
        beforeId: before?.id ?? null,
        beforeChain: before?.chain ?? rootOf(session.project),
        length: (before?.length ?? 0) + 1,
        chain: textOf(row['c']),
        isAnswer,
        hasAnswer: isAnswer || before?.hasAnswer === true,
        role: roleOf[textOf(row['r']) as keyof typeof roleOf] ?? 'user',
        ...(countOf(row['l']) === 1 && { isPartial: true }),
        ...(objectOf(row['n']) && { callNames: row['n'] as Readonly<Record<string, string>> }),
      };
      messages.set(message.id, message);
      if (isAnswer) head.hasAnswered = true;
      batch.push({
        message,
        answerKeys: textOf(row['q']).split(' ').filter(Boolean),
        client: head.client,
        serverId: textOf(row['i']) || undefined,
      });
      if (batch.length === mostAtOnce) write();
    }
    write();
    recogniser.known.restore([...heads.values()], named);
    if (damaged.length > 0) await this.#file.setAside(damaged);
    if (kept.length < lines.length) await this.#file.replace(kept);
    return damaged.length;
  }
}

const conversationLine = ({ session, systemKey, toolsKey, client, keys }: Conversation): string =>
  JSON.stringify({ s: session, y: systemKey, t: toolsKey, p: client, k: [...keys] });

/** Messages that are put into the index with one write. */
const mostAtOnce = 1000;
