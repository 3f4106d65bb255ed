import { randomId, sha256Hex } from '../../../base/hash.ts';
import { SerialQueue } from '../../../base/serialQueue.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { nullOn } from '../../../protocol/errors.ts';
import type { LineageId, ProjectUri } from '../../../protocol/ids.ts';
import type { Isolation } from '../../../protocol/settings/sessionChoices.ts';
import type { CoreContext } from '../../context.ts';
import { newLineage, type Lineage } from '../../ports/lineages.ts';

/** Of all conversations, where nothing separates them. */
const everyones = 'everyone' as LineageId;
/** Begins the ids of lineages that belong to one conversation. */
const unshared = 'conversation-';
/**
 * Begins the ids of lineages that a project's conversations share. A session that moves takes its lineage along, so that the session's project says
 * nothing of whose salt it is.
 */
const sharedBy = (project: ProjectUri | null): string => `project-${sha256Hex(project ?? '').slice(0, 16)}-`;
const mostUnstored = 10_000;

/** Tag of every session that came through the gateway. */
export const outsideTag = 'gateway';

/** Under which lineages other programs' conversations are computed. */
export class OutsideLineages {
  readonly isolation: Isolation;
  readonly #core: () => CoreContext;
  /** By project: which lineage its new conversations belong to. */
  readonly #shared = new Map<ProjectUri | null, Promise<LineageId>>();
  /** Those of conversations that have no session yet, or whose record the store could not read. */
  readonly #unstored = new Map<LineageId, Lineage>();
  /** As the store has them: a request must not wait for its files each time. */
  readonly #read = new Map<LineageId, Lineage>();
  readonly #creating = new SerialQueue();

  constructor(core: () => CoreContext, isolation: Isolation) {
    this.#core = core;
    this.isolation = isolation;
  }

  /**
   * The lineage of a conversation. By default, all new ones of a project share that of its latest session, so that what they begin with is
   * computed once. Nothing is written. A store that fails stands in nobody's way: the conversation has a lineage in memory then. Never rejects.
   *
   * @param own what it returned for the conversation before, or what its session has; null for a new one.
   */
  async of(project: ProjectUri | null, own: LineageId | null, onFailure: (error: unknown) => void): Promise<Lineage> {
    if (own === null && this.isolation === 'conversation')
      return this.#inMemory(`${unshared}${randomId()}` as LineageId);
    const separated = this.isolation === 'off' ? null : project;
    try {
      const id = own ?? (await this.#sharedBy(separated));
      return this.#unstored.get(id) ?? this.#read.get(id) ?? (await this.#fromStore(id));
    } catch (error) {
      onFailure(error);
      const lineage = this.#inMemory(newSharedId(separated));
      if (own === null) this.#shared.set(separated, Promise.resolve(lineage.id));
      return lineage;
    }
  }

  /** Its generation moves on when damaged KV has to be left behind. */
  async #fromStore(id: LineageId): Promise<Lineage> {
    const lineage = await this.#core().store.lineages.get(id);
    this.#read.set(id, lineage);
    return lineage;
  }

  /** Something else than a turn of this kind happened: the records may have changed. */
  changed(): void {
    this.#read.clear();
  }

  /** After a turn was stored. Never rejects. */
  async renew(id: LineageId): Promise<void> {
    await this.#fromStore(id).catch(() => this.#read.delete(id));
  }

  /** One that is no longer in memory was stored, or had to give way to newer ones while its request ran. */
  async store(lineage: Lineage): Promise<void> {
    const { id } = lineage;
    await this.#creating.run(async () => {
      const { lineages } = this.#core().store;
      if (!this.#unstored.has(id) && (this.#read.has(id) || (await nullOn(lineages.get(id), 'Corrupted')))) return;
      await lineages.create(this.#unstored.get(id) ?? lineage);
      this.#unstored.delete(id);
    });
  }

  #sharedBy(project: ProjectUri | null): Promise<LineageId> {
    const known = this.#shared.get(project);
    if (known) return known;
    const finding = this.isolation === 'off' ? this.#findEveryones() : this.#findShared(project);
    this.#shared.set(project, finding);
    finding.catch(() => this.#shared.delete(project));
    return finding;
  }

  async #findEveryones(): Promise<LineageId> {
    if ((await nullOn(this.#core().store.lineages.get(everyones), 'Corrupted')) === null) this.#inMemory(everyones);
    return everyones;
  }

  async #findShared(project: ProjectUri | null): Promise<LineageId> {
    const query = { ...(project !== null && { project }), limit: 100, offset: 0 };
    const { items } = await this.#core().store.sessions.list(query);
    const isShared = ({ tags = [], lineage }: Session): boolean =>
      tags.includes(outsideTag) && lineage.startsWith(sharedBy(project));
    return items.find(isShared)?.lineage ?? this.#inMemory(newSharedId(project)).id;
  }

  #inMemory(id: LineageId): Lineage {
    const lineage = { ...newLineage(), id };
    this.#unstored.set(id, lineage);
    // Of conversations that never had an answer.
    for (const [oldest] of this.#unstored) if (this.#unstored.size > mostUnstored) this.#unstored.delete(oldest);
    return lineage;
  }
}

const newSharedId = (project: ProjectUri | null): LineageId => `${sharedBy(project)}${randomId()}` as LineageId;
