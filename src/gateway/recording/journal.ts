import { SerialQueue } from '../../base/serialQueue.ts';
import { listOf, objectOf, parsed, textOf, countOf } from '../formats/json.ts';
import type { LineageId, MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Conversation, Said } from '../recognition/conversations.ts';
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
  readonly #last = new Map<SessionId, string>();
  readonly #appending = new SerialQueue();
  /** Lines that could not be written: without them, no later message of their conversations is found again. */
  #unwritten: string[] = [];

  constructor(file: JournalFile) {
    this.#file = file;
  }

  /** The message is stored now. */
  async stored(all: readonly { readonly said: Said; readonly answerKeys: readonly string[] }[]): Promise<void> {
    const lines: string[] = [];
    for (const { said, answerKeys } of all) {
      const { conversation, id, before, chain, isAnswer, role, callNames, serverId } = said;
      const head = conversationLine(conversation);
      if (this.#last.get(conversation.session) !== head) lines.push(head);
      this.#last.set(conversation.session, head);
      lines.push(
        JSON.stringify({
          s: conversation.session,
          m: id,
          b: before?.id ?? null,
          c: chain,
          r: roles[role],
          ...(isAnswer && { a: 1 }),
          ...(answerKeys.length > 0 && { q: answerKeys.join(' ') }),
          ...(callNames && { n: callNames }),
          ...(serverId !== undefined && { i: serverId }),
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
    const conversations = new Map<SessionId, Conversation>();
    const said = new Map<string, Said>();
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
      let conversation = conversations.get(session.id);
      if (!conversation) {
        conversations.set(session.id, (conversation = restored(session)));
        recogniser.known(conversation);
      }
      if (typeof row['m'] !== 'string') {
        conversation.systemKey = textOf(row['y']);
        conversation.toolsKey = textOf(row['t']);
        conversation.client = textOf(row['p']);
        for (const key of listOf(row['k'])) recogniser.nameBy(conversation, textOf(key));
        this.#last.set(session.id, line);
        continue;
      }
      const before = row['b'] === null ? null : said.get(textOf(row['b']));
      // A line that was written in part was written again.
      if (before === undefined || said.has(textOf(row['m']))) continue;
      const each: Said = {
        conversation,
        id: row['m'] as MessageId,
        before,
        length: (before?.length ?? 0) + 1,
        chain: textOf(row['c']),
        isAnswer: countOf(row['a']) === 1,
        role: roleOf[textOf(row['r']) as keyof typeof roleOf] ?? 'user',
        ...(objectOf(row['n']) && { callNames: row['n'] as Readonly<Record<string, string>> }),
        ...(textOf(row['i']) !== '' && { serverId: textOf(row['i']) }),
        item: null,
      };
      said.set(each.id, each);
      if (each.isAnswer) conversation.hasAnswered = true;
      recogniser.conversations.put(each, textOf(row['q']).split(' ').filter(Boolean));
    }
    if (damaged.length > 0) await this.#file.setAside(damaged);
    if (kept.length < lines.length) await this.#file.replace(kept);
    return damaged.length;
  }
}

const conversationLine = ({ session, systemKey, toolsKey, client, keys }: Conversation): string =>
  JSON.stringify({ s: session, y: systemKey, t: toolsKey, p: client, k: [...keys] });

const restored = ({ id, project, lineage }: KnownSession): Conversation => ({
  session: id,
  project,
  lineage,
  systemKey: '',
  toolsKey: '',
  system: '',
  client: '',
  lastTokens: 0,
  keys: new Set(),
  usedMs: 0,
  firstText: '',
  lastText: '',
  hasAnswered: false,
  mayBeCold: true,
});
