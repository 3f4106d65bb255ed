import * as z from 'zod/mini';
import type { SessionContent } from '../../core/ports/sessions.ts';
import { messageIdSchema } from '../../protocol/schemas/ids.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseMessageId, type MessageId } from '../../protocol/ids.ts';
import { messageRoles, type Message } from '../../protocol/schemas/session.ts';
import { hasCode } from '../disk/files.ts';
import { idOfFileName, type SessionPaths } from '../disk/layout.ts';
import { encodeLines } from '../disk/lines.ts';
import { filesAtOnce, mapBounded } from '../../base/mapBounded.ts';
import { encodeRecord, isSameRecord } from '../disk/record.ts';
import { MessageChains } from './messageChains.ts';
import { storedMessageSchema } from './storedMessage.ts';
import { standIn } from './standIn.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

const indexEntrySchema = z.object({
  id: messageIdSchema,
  parentId: z.nullable(messageIdSchema),
  sequence: z.number(),
  role: z.enum(messageRoles),
  type: z.string(),
  createdAt: z.string(),
});
type MessageIndexEntry = z.infer<typeof indexEntrySchema>;

type CopiedMessages = Pick<SessionContent, 'messageIds' | 'standIns'>;

const entryOf = ({ id, parentId, sequence, role, content, createdAt }: Message): MessageIndexEntry => ({
  id,
  parentId,
  sequence,
  role,
  type: content.type,
  createdAt,
});

/**
 * The messages of a session: one file each, never changed, and one line each in an append-only index. Files are written first, so a
 * line never names a missing file. A file that a crash left without its line is entered later, and so is every file when the index is
 * lost. Calls that change one session's pool must come one after another.
 */
export class MessagePool {
  readonly #parts: StoreDisk;
  /** Indexes that were compared with the files since the store was opened. */
  readonly #checked = new Set<string>();
  readonly #chains: MessageChains;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
    this.#chains = new MessageChains(
      (paths) => this.#entries(paths),
      (paths, id) => this.#entryOfFile(paths, id),
    );
  }

  async append(paths: SessionPaths, messages: readonly Message[]): Promise<void> {
    await this.#checkIndex(paths);
    const added = new Map<string, Uint8Array>();
    const entries: MessageIndexEntry[] = [];
    for (const message of messages) {
      const path = paths.message(message.id);
      const bytes = encodeRecord(message);
      const present = added.get(path) ?? (await this.#parts.writes.readIfThere(path));
      if (present === null) {
        added.set(path, bytes);
        entries.push(entryOf(message));
      } else if (!isSameRecord(present, bytes)) {
        throw new CwmError('InvalidParameter', `Message "${message.id}" is already there and says something else.`);
      }
    }
    if (added.size === 0) return;
    try {
      await this.#parts.writes.addFiles(paths.messages, added);
      await this.#parts.lines.append(paths.messageIndex, entries);
      this.#chains.added(paths, entries);
    } catch (error) {
      // Removes what the failed call wrote; the next check finds what cannot be removed now.
      this.#checked.delete(paths.messageIndex);
      for (const path of added.keys()) await this.#parts.files.remove(path).catch(() => undefined);
      throw error;
    }
  }

  /** Ids of the messages that lead to this one, oldest first. @throws CwmError Corrupted. */
  chain(paths: SessionPaths, head: MessageId | null): Promise<MessageId[]> {
    return this.#chains.to(paths, head);
  }

  async load(paths: SessionPaths, ids: readonly MessageId[]): Promise<Message[]> {
    return mapBounded(ids, filesAtOnce, async (id) => {
      const message = await this.#parts.records.read(paths.message(id), storedMessageSchema);
      if (message === null) throw await this.#absent(paths, id);
      if (message.id !== id) throw new CwmError('Corrupted', `The file of message "${id}" holds another message.`);
      return message;
    });
  }

  /** As {@link load}; a stand-in takes the place of each message that is damaged or missing. */
  async loadOrStandIns(paths: SessionPaths, ids: readonly MessageId[], firstSequence: number): Promise<Message[]> {
    const whole = await mapBounded(ids, filesAtOnce, async (id) => {
      const [message = null] = (await nullOn(this.load(paths, [id]), 'Corrupted', 'MessageNotFound')) ?? [];
      return message;
    });
    if (!whole.includes(null)) return whole.filter((message) => message !== null);
    const listed = new Map((await this.#entries(paths)).map((entry) => [entry.id, entry]));
    const lost = this.#parts.clock.now().toISOString();
    const messages: Message[] = [];
    for (const [at, id] of ids.entries()) {
      const place = { id, sequence: firstSequence + at, before: messages.at(-1) ?? null, lost };
      messages.push(whole[at] ?? standIn(place, listed.get(id)));
    }
    return messages;
  }

  /** Gives the messages of one pool to a new one, whose directories exist and are empty. */
  async copyTo(from: SessionPaths, to: SessionPaths, { messageIds, standIns = [] }: CopiedMessages): Promise<void> {
    const replaced = new Map(standIns.map((message) => [message.id, message]));
    const wanted = [...new Set(messageIds)];
    const shared = wanted.filter((id) => !replaced.has(id));
    // Read in full, because damage must not spread and the lines are needed.
    const whole = new Map((await this.load(from, shared)).map((message) => [message.id, message]));
    for (const id of shared) await this.#parts.writes.share(from.message(id), to.message(id));
    for (const message of standIns) await this.#parts.files.create(to.message(message.id), encodeRecord(message));
    await this.#parts.files.syncDirectory(to.messages);
    const messages = wanted.map((id) => replaced.get(id) ?? whole.get(id)).filter((message) => message !== undefined);
    await this.#parts.files.create(to.messageIndex, encodeLines(messages.map(entryOf)));
  }

  /**
   * Reads everything and changes nothing. A whole message without its line in the index is no problem: a crash left it, and the next
   * append enters it. @returns what is wrong, in plain words.
   */
  async verify(paths: SessionPaths, heads: readonly MessageId[]): Promise<string[]> {
    const { values, damagedLines } = await this.#parts.lines.load(paths.messageIndex, indexEntrySchema);
    const listed = values.map((entry) => entry.id);
    const stored = await this.storedIds(paths);
    this.#chains.forget(paths);
    const needed = await mapBounded(heads, 1, (head) => nullOn(this.chain(paths, head), 'Corrupted'));
    const all = [...new Set([...listed, ...stored, ...heads, ...needed.flatMap((ids) => ids ?? [])])];
    const broken = needed.filter((ids) => ids === null).length;
    const read = await mapBounded(all, filesAtOnce, async (id) => {
      try {
        await this.load(paths, [id]);
        return null;
      } catch (error) {
        if (error instanceof CwmError) return error.message;
        throw error;
      }
    });
    return [
      ...read.filter((problem) => problem !== null),
      ...(broken > 0 ? [`Branches whose earlier messages are lost: ${broken}.`] : []),
      ...(damagedLines.length > 0 ? [`Damaged lines of its message index: ${damagedLines.join(', ')}.`] : []),
    ];
  }

  /** Forgets the session's pool, which was moved away. */
  forget(paths: SessionPaths): void {
    this.#checked.delete(paths.messageIndex);
    this.#chains.forget(paths);
    this.#parts.lines.forget(paths.messageIndex);
  }

  async #absent(paths: SessionPaths, id: MessageId): Promise<CwmError> {
    const known = (await this.#entries(paths)).some((entry) => entry.id === id);
    return known
      ? new CwmError(
          'Corrupted',
          `Message "${id}" is in the session's index, but its file is missing or was set aside.`,
        )
      : new CwmError('MessageNotFound', `The session has no message "${id}".`);
  }

  async #entries(paths: SessionPaths): Promise<readonly MessageIndexEntry[]> {
    return (await this.#parts.lines.load(paths.messageIndex, indexEntrySchema)).values;
  }

  /** Compares index and files once after start, before anything is added. */
  async #checkIndex(paths: SessionPaths): Promise<void> {
    if (this.#checked.has(paths.messageIndex)) return;
    const { lines, quarantine, files } = this.#parts;
    if ((await files.stat(paths.messages)) === null) await files.makeDirectory(paths.messages);
    const isMissing = (await files.stat(paths.messageIndex)) === null;
    const { values, damagedLines } = await lines.load(paths.messageIndex, indexEntrySchema);
    const known = new Set(values.map((entry) => entry.id));
    const unlisted = (await this.storedIds(paths)).filter((id) => !known.has(id));
    if (isMissing || damagedLines.length > 0 || unlisted.length > 0) {
      const recovered = await mapBounded(unlisted, filesAtOnce, (id) => this.#entryOfFile(paths, id));
      const entries = [...values, ...recovered.filter((entry) => entry !== null)];
      await lines.replace(
        paths.messageIndex,
        entries.sort((a, b) => a.sequence - b.sequence),
      );
      this.#chains.forget(paths);
      quarantine.note(
        paths.messageIndex,
        `Messages that were missing in it and were entered again: ${unlisted.length}.`,
      );
    }
    this.#checked.add(paths.messageIndex);
  }

  /** Ids of the message files, in no order. */
  async storedIds(paths: SessionPaths): Promise<MessageId[]> {
    const names = await this.#listMessages(paths);
    const ids: MessageId[] = [];
    for (const name of names) {
      const id = name.endsWith('.json') ? idOfFileName(name.slice(0, -'.json'.length), parseMessageId) : null;
      if (id !== null) ids.push(id);
    }
    return ids;
  }

  async #listMessages(paths: SessionPaths): Promise<string[]> {
    try {
      return await this.#parts.files.list(paths.messages);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  async #entryOfFile(paths: SessionPaths, id: MessageId): Promise<MessageIndexEntry | null> {
    // A damaged message has been set aside and reported; the index gets the others.
    const [message] = (await nullOn(this.load(paths, [id]), 'Corrupted')) ?? [];
    return message ? entryOf(message) : null;
  }
}
