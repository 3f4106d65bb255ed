import type { Clock } from '../../base/clock.ts';
import { isCwmError, nullOn } from '../../protocol/errors.ts';
import type { LineageId, SessionId } from '../../protocol/ids.ts';
import type { BlockRecord, KvRecord } from '../../protocol/schemas/window.ts';
import type { LocatedBlock } from '../ports/engine.ts';
import type { EngineRegistry } from '../ports/engineRegistry.ts';
import { saltOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';
import { kvOf } from './windowUses.ts';

/** A file of KV outside the storage directory: of vLLM's tier, or a slot file. A window or a checkpoint names it, so that the product had it written. */
export interface OtherFile {
  /** The one that deletes it; two spellings of one server lead to the same file. */
  readonly engine: string;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly writtenAtMs: number;
  /** As records name it, by {@link versionOf}. */
  readonly recordedAs: Set<string>;
}

/** The KV that one record names. */
interface Owner {
  readonly engine: string;
  readonly lineage: LineageId;
  readonly kv: Pick<KvRecord, 'blocks' | 'handle' | 'saltGeneration'>;
  readonly ids: () => Promise<readonly number[] | null>;
}

/** How long one engine may take to say which of its files are there, or to delete some, in milliseconds. */
const engineMs = 10_000;
/** An engine that did not answer in time is left alone for so long, in milliseconds. */
const restMs = 60_000;
/** One whose files may not be deleted, in milliseconds: that lasts until somebody changes their modes. */
const longRestMs = 3_600_000;
/** Deleted windows are noticed after so long, in milliseconds. */
const goodForMs = 60_000;

type Version = Pick<BlockRecord, 'hash' | 'mtimeNs'>;

/** A file that was written again is another one. */
const versionOf = ({ hash, mtimeNs }: Version): string => `${hash}\0${mtimeNs}`;

/** A block may have several files, whose times are joined; its latest one counts. */
const writtenAtMs = ({ mtimeNs }: Pick<BlockRecord, 'mtimeNs'>): number =>
  Math.max(0, ...mtimeNs.split(',').map((each) => Number(BigInt(each) / 1_000_000n)));

/** Its files stay: what a record that cannot be read names is never evicted. */
const unreadable = [null, null] as const;

const isEmbedded = (engine: string): boolean => engine.startsWith('embedded');

/** The KV of other engines than the embedded one, as far as records name its files and this machine reaches them. */
export class KvOfOtherEngines {
  readonly #store: Store;
  readonly #engines: EngineRegistry;
  readonly #clock: Clock;
  /** Files that a record names and that are not there, by {@link versionOf}. */
  readonly #gone = new Set<string>();
  /** Engines whose files could not be looked at or deleted: until when they are left alone. */
  readonly #restingUntilMs = new Map<string, number>();
  /** As summed up last; null once a record may have changed. The records themselves would take too much memory. */
  #recorded: { readonly bytes: Promise<number>; readonly atMs: number } | null = null;

  constructor(store: Store, engines: EngineRegistry, clock: Clock) {
    this.#store = store;
    this.#engines = engines;
    this.#clock = clock;
  }

  /** A window or a checkpoint was stored. */
  changed(): void {
    this.#recorded = null;
  }

  /** Whether the file that a record names was looked for and not found, or evicted. */
  isGone(block: Version): boolean {
    return this.#gone.has(versionOf(block));
  }

  /** Whether an engine is left alone because its files could not be looked at or deleted: they count as little as if they were not there. */
  isResting(engine: string): boolean {
    return this.#clock.elapsedMs() < (this.#restingUntilMs.get(engine) ?? -Infinity);
  }

  /** Bytes of the files, as recorded, but for those known to be gone: the most that can be there. No engine is asked. */
  async recordedBytes(signal: AbortSignal): Promise<number> {
    const atMs = this.#clock.elapsedMs();
    if (this.#recorded && atMs - this.#recorded.atMs < goodForMs) return this.#recorded.bytes;
    const reading = { bytes: this.#sum(signal), atMs };
    this.#recorded = reading;
    return reading.bytes.catch((error: unknown) => {
      if (this.#recorded === reading) this.#recorded = null;
      throw error;
    });
  }

  async #sum(signal: AbortSignal): Promise<number> {
    const counted = new Set<string>();
    let bytes = 0;
    for await (const { kv } of this.#owners(signal)) {
      for (const block of kv.blocks) {
        const version = versionOf(block);
        if (counted.has(version) || this.#gone.has(version)) continue;
        counted.add(version);
        bytes += block.sizeBytes + (block.besideBytes ?? 0);
      }
    }
    return bytes;
  }

  /** The files that are there now, of engines that can be reached. A file that several records name, under any spelling of its engine, is there once. */
  async list(signal: AbortSignal): Promise<OtherFile[]> {
    const files = new Map<string, OtherFile>();
    const missing = new Set<string>();
    const looked = new Map<string, Map<string, LocatedBlock['stat']>>();
    for await (const owner of this.#owners(signal)) {
      const { engine, kv } = owner;
      if (this.isResting(engine)) continue;
      const stats = looked.get(engine) ?? new Map<string, LocatedBlock['stat']>();
      looked.set(engine, stats);
      // Windows of one session share most of their files.
      if (!kv.blocks.every(({ hash }) => stats.has(hash))) {
        for (const { hash, stat } of await this.#locate(owner, signal)) stats.set(hash, stat);
      }
      for (const block of kv.blocks) {
        const { hash } = block;
        const stat = stats.get(hash);
        if (stat === null) missing.add(versionOf(block));
        if (!stat) continue;
        const version = versionOf({ hash, ...stat });
        const file = files.get(version) ?? {
          engine,
          hash,
          sizeBytes: stat.sizeBytes + (stat.besideBytes ?? 0),
          writtenAtMs: writtenAtMs(stat),
          recordedAs: new Set<string>(),
        };
        file.recordedAs.add(versionOf(block));
        files.set(version, file);
      }
    }
    for (const version of missing) this.#gone.add(version);
    for (const { recordedAs } of files.values()) for (const version of recordedAs) this.#gone.delete(version);
    return [...files.values()].filter(({ engine }) => !this.isResting(engine));
  }

  /**
   * @param engine the one that deletes all these files. One that fails is left alone from then on, and its files stay.
   * @returns bytes that are there no longer: of files that were deleted, or had been gone.
   */
  async delete(engine: string, files: readonly OtherFile[], signal: AbortSignal): Promise<number> {
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(engineMs)]);
      await this.#engines.get(engine).forget({ hashes: files.map(({ hash }) => hash), handle: null }, inTime);
    } catch (error) {
      signal.throwIfAborted();
      this.#rest(engine, isCwmError(error, 'WriteFailed') ? longRestMs : restMs);
      return 0;
    }
    for (const { recordedAs } of files) for (const version of recordedAs) this.#gone.add(version);
    this.changed();
    return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  #rest(engine: string, forMs: number): void {
    this.#restingUntilMs.set(engine, this.#clock.elapsedMs() + forMs);
  }

  /** Which of its files are there; none where that cannot be seen. */
  async #locate({ engine, lineage: id, kv, ids: load }: Owner, signal: AbortSignal): Promise<readonly LocatedBlock[]> {
    // What is wrong with a record is not its engine's fault.
    const [ids, lineage] = await Promise.all([load(), nullOn(this.#store.lineages.get(id), 'Corrupted')]).catch(
      () => unreadable,
    );
    if (!ids || !lineage) return [];
    try {
      const salt = saltOf({ ...lineage, generation: kv.saltGeneration });
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(engineMs)]);
      const located = await this.#engines.get(engine).locate({ ids, salt, handle: kv.handle }, inTime);
      if (located.reachable) return located.blocks;
    } catch {
      signal.throwIfAborted();
    }
    this.#rest(engine, restMs);
    return [];
  }

  async *#owners(signal: AbortSignal): AsyncGenerator<Owner, void> {
    const { windows } = this.#store;
    for (const { name, engine } of await windows.all()) {
      signal.throwIfAborted();
      if (isEmbedded(engine)) continue;
      const [manifest, kv] = await Promise.all([windows.get(name), kvOf(this.#store, name)]).catch(() => unreadable);
      if (!manifest || !kv || !isOthers(manifest.engine, kv)) continue;
      const ids = () => nullOn(windows.loadTokens(name), 'Corrupted', 'WindowNotFound');
      yield { engine: manifest.engine, lineage: manifest.lineage, kv, ids };
    }
    for (const id of await this.#sessions(signal)) {
      signal.throwIfAborted();
      const owner = await this.#checkpointOf(id);
      if (owner) yield owner;
    }
  }

  /** Those that had a turn on another engine than the embedded one: only their checkpoints can name its files. */
  async #sessions(signal: AbortSignal): Promise<SessionId[]> {
    const found: SessionId[] = [];
    for (let offset = 0; ; offset += 100) {
      signal.throwIfAborted();
      const { items } = await this.#store.sessions.list({ limit: 100, offset });
      for (const { id, engine, formerEngines = [] } of items)
        if (![engine, ...formerEngines].every(isEmbedded)) found.push(id);
      if (items.length < 100) return found;
    }
  }

  async #checkpointOf(id: SessionId): Promise<Owner | null> {
    const { sessions, checkpoints } = this.#store;
    const checkpoint = await checkpoints.get(id).catch(() => null);
    if (!checkpoint) return null;
    const { kv, manifest } = checkpoint;
    const { engine, lineage, tokens } = manifest;
    const ids = () => nullOn(sessions.loadTokens(id, tokens.sha256), 'Corrupted', 'SessionNotFound');
    return isOthers(engine, kv) ? { engine, lineage, kv, ids } : null;
  }
}

const isOthers = (engine: string, { engineKind, blocks }: Pick<KvRecord, 'engineKind' | 'blocks'>): boolean =>
  !isEmbedded(engine) && engineKind !== 'embedded' && blocks.length > 0;
