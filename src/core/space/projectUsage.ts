import { nullOn } from '../../protocol/errors.ts';
import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { ProjectUsage } from '../../protocol/schemas/space.ts';
import type { KvRecord, WindowSummary } from '../../protocol/schemas/window.ts';
import type { StorageSizes } from '../ports/space.ts';
import type { Store } from '../ports/store.ts';
import type { KvOfOtherEngines } from './kvOfOtherEngines.ts';
import { lastUsedAt } from './windowUses.ts';

type Kv = Pick<KvRecord, 'engineKind' | 'blocks' | 'kvBytes'>;

interface Row {
  sessions: number;
  windows: number;
  recordBytes: number;
  kvBytes: number;
  elsewhereBytes: number;
  lastUsedAt: string;
  readonly counted: Set<string>;
}

/** What each project holds: its sessions, their windows and automatic checkpoints. What projects share counts with each of them. */
export class ProjectUsages {
  readonly #sizes: StorageSizes;
  readonly #present: ReadonlyMap<string, number>;
  readonly #others: Pick<KvOfOtherEngines, 'isGone'>;
  readonly #rows = new Map<ProjectUri | null, Row>();
  readonly #projects = new Map<SessionId, ProjectUri | null>();
  readonly #counted = new Set<string>();
  #elsewhereBytes = 0;

  /** @param present bytes of the embedded engine's blocks, by hash. */
  constructor(sizes: StorageSizes, present: ReadonlyMap<string, number>, others: Pick<KvOfOtherEngines, 'isGone'>) {
    this.#sizes = sizes;
    this.#present = present;
    this.#others = others;
  }

  /** Call it first: a window belongs to the project that its session belongs to. */
  async addSessions(store: Store, signal: AbortSignal): Promise<void> {
    for (let offset = 0; ;) {
      const { items, total } = await store.sessions.list({ limit: 100, offset });
      offset += items.length;
      for (const session of items) {
        signal.throwIfAborted();
        this.#addSession(session);
        const checkpoint = await nullOn(store.checkpoints.get(session.id), 'Corrupted');
        if (checkpoint) this.#addKv(this.#row(session.project), checkpoint.kv);
      }
      if (items.length === 0 || offset >= total) return;
    }
  }

  addWindow(window: WindowSummary): void {
    const row = this.#rowOf(window);
    row.windows++;
    row.recordBytes += this.#sizes.windowBytes.get(window.name) ?? 0;
    this.#usedAt(row, lastUsedAt(window));
  }

  addKvOf(window: WindowSummary, kv: Kv): void {
    this.#addKv(this.#rowOf(window), kv);
  }

  /** Of all projects, with other model servers, as recorded. What several of them share counts once. */
  get elsewhereBytes(): number {
    return this.#elsewhereBytes;
  }

  /** Largest first. */
  get rows(): ProjectUsage[] {
    const bytes = ({ recordBytes, kvBytes, elsewhereBytes }: ProjectUsage): number =>
      recordBytes + kvBytes + elsewhereBytes;
    return [...this.#rows]
      .map(([project, row]) => {
        const { counted: _, ...figures } = row;
        return { project, ...figures };
      })
      .sort((a, b) => bytes(b) - bytes(a));
  }

  #addSession({ id, project, updatedAt }: Session): void {
    this.#projects.set(id, project);
    const row = this.#row(project);
    row.sessions++;
    row.recordBytes += this.#sizes.sessionBytes.get(id) ?? 0;
    this.#usedAt(row, updatedAt);
  }

  #addKv(row: Row, { engineKind, blocks, kvBytes }: Kv): void {
    const isOurs = engineKind === 'embedded';
    if (blocks.length === 0 && !isOurs) {
      row.elsewhereBytes += kvBytes ?? 0;
      this.#elsewhereBytes += kvBytes ?? 0;
    }
    for (const block of blocks) {
      const { hash, sizeBytes } = block;
      const isElsewhere = !isOurs && !this.#others.isGone(block);
      if (isElsewhere && !this.#counted.has(hash)) {
        this.#counted.add(hash);
        this.#elsewhereBytes += sizeBytes;
      }
      if (row.counted.has(hash)) continue;
      row.counted.add(hash);
      if (isOurs) row.kvBytes += this.#present.get(hash) ?? 0;
      else if (isElsewhere) row.elsewhereBytes += sizeBytes;
    }
  }

  #rowOf({ session, project }: WindowSummary): Row {
    const now = this.#projects.get(session);
    return this.#row(now === undefined ? project : now);
  }

  #row(project: ProjectUri | null): Row {
    const known = this.#rows.get(project);
    if (known) return known;
    const row: Row = {
      sessions: 0,
      windows: 0,
      recordBytes: 0,
      kvBytes: 0,
      elsewhereBytes: 0,
      lastUsedAt: '',
      counted: new Set(),
    };
    this.#rows.set(project, row);
    return row;
  }

  #usedAt(row: Row, at: string): void {
    if (at > row.lastUsedAt) row.lastUsedAt = at;
  }
}
