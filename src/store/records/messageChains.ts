import { CwmError } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { SessionPaths } from '../disk/layout.ts';

/** Which message a message follows. */
interface Link {
  readonly id: MessageId;
  readonly parentId: MessageId | null;
  readonly sequence: number;
}

/** Messages of all indexes in memory together. */
const mostLinks = 200_000;
const mostIndexes = 100;

/** Which message each message follows, from the index, so that a branch names only its last message. */
export class MessageChains {
  readonly #readIndex: (paths: SessionPaths) => Promise<readonly Link[]>;
  readonly #readFile: (paths: SessionPaths, id: MessageId) => Promise<Link | null>;
  /** By the path of the index; the one that was used last comes last. */
  readonly #links = new Map<string, Map<MessageId, Link>>();

  constructor(
    readIndex: (paths: SessionPaths) => Promise<readonly Link[]>,
    readFile: (paths: SessionPaths, id: MessageId) => Promise<Link | null>,
  ) {
    this.#readIndex = readIndex;
    this.#readFile = readFile;
  }

  /** Ids of the messages that lead to this one, oldest first. @throws CwmError Corrupted. */
  async to(paths: SessionPaths, head: MessageId | null): Promise<MessageId[]> {
    if (head === null) return [];
    const links = await this.#linksOf(paths);
    const ids: MessageId[] = [];
    const seen = new Set<MessageId>();
    let sequence: number | null = null;
    for (let id: MessageId | null = head; id !== null;) {
      if (seen.has(id)) throw lost(id);
      seen.add(id);
      ids.push(id);
      // A crash, or the loss of the index, leaves a message whose line is missing.
      const link: Link | null = links.get(id) ?? (await this.#fromFile(paths, id));
      sequence = link?.sequence ?? (sequence === null ? null : sequence - 1);
      if (sequence === null) throw lost(id);
      id = link?.parentId ?? beforeSequence(links, sequence, id);
    }
    return ids.reverse();
  }

  added(paths: SessionPaths, entries: readonly Link[]): void {
    const links = this.#links.get(paths.messageIndex);
    for (const { id, parentId, sequence } of links ? entries : []) links?.set(id, { id, parentId, sequence });
  }

  forget(paths: SessionPaths): void {
    this.#links.delete(paths.messageIndex);
  }

  async #linksOf(paths: SessionPaths): Promise<Map<MessageId, Link>> {
    const path = paths.messageIndex;
    const known = this.#links.get(path);
    const links =
      known ??
      new Map((await this.#readIndex(paths)).map(({ id, parentId, sequence }) => [id, { id, parentId, sequence }]));
    this.#links.delete(path);
    this.#links.set(path, links);
    let total = 0;
    for (const { size } of this.#links.values()) total += size;
    for (const [other, { size }] of this.#links) {
      if ((total <= mostLinks && this.#links.size <= mostIndexes) || other === path) break;
      this.#links.delete(other);
      total -= size;
    }
    return links;
  }

  async #fromFile(paths: SessionPaths, id: MessageId): Promise<Link | null> {
    try {
      return await this.#readFile(paths, id);
    } catch (error) {
      if (error instanceof CwmError && error.name === 'MessageNotFound') return null;
      throw error;
    }
  }
}

/** The message before that one where its link is lost: known when only one can be. Null at the first message. */
function beforeSequence(links: ReadonlyMap<MessageId, Link>, sequence: number, id: MessageId): MessageId | null {
  if (sequence <= 1) return null;
  const candidates = [...links.values()].filter((link) => link.sequence === sequence - 1);
  const [only] = candidates;
  if (candidates.length !== 1 || !only) throw lost(id);
  return only.id;
}

const lost = (id: MessageId): CwmError =>
  new CwmError('Corrupted', `Message "${id}" is lost, and with it which messages came before it.`);
