import type { Clock } from '../../base/clock.ts';
import { nullOn } from '../../protocol/errors.ts';
import type { LineageId } from '../../protocol/ids.ts';
import type { ContextTokens } from '../../protocol/schemas/session.ts';
import type { BlockRecord, KvRecord } from '../../protocol/schemas/window.ts';
import type { EngineRegistry } from '../ports/engineRegistry.ts';
import { saltOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';
import { kvOf } from './windowUses.ts';

/** A file of KV outside the storage directory: of vLLM's tier, or a slot file. A window or a checkpoint names it, so that the product had it written. */
export interface ElsewhereFile {
  readonly engine: string;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly writtenAtMs: number;
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
/** An engine whose files could not be looked at is left alone for so long, in milliseconds. */
const restMs = 60_000;
/** Deleted windows are noticed after so long, in milliseconds. */
const goodForMs = 60_000;

/** Names a file among those of all engines. A file that was written again is another one. */
const keyOf = (engine: string, hash: string): string => `${engine}\0${hash}`;
const versionOf = (engine: string, { hash, mtimeNs }: Pick<BlockRecord, 'hash' | 'mtimeNs'>): string =>
  `${keyOf(engine, hash)}\0${mtimeNs}`;

/** Its files stay: what a record that cannot be read names is never evicted. */
const unreadable = [null, null] as const;

const isBelowStorage = (engine: string): boolean => engine.startsWith('embedded');

/** The KV of other engines than the embedded one, as far as records name its files and this machine reaches them. */
export class Elsewhere {
  readonly #store: Store;
  readonly #engines: EngineRegistry;
  readonly #clock: Clock;
  /** Files that a record names and that are not there, by {@link versionOf}. */
  readonly #gone = new Set<string>();
  /** Engines whose files could not be looked at: when that was. */
  readonly #unreached = new Map<string, number>();
  /** As read last; null once a record may have changed. */
  #read: { readonly owners: Promise<readonly Owner[]>; readonly atMs: number } | null = null;

  constructor(store: Store, engines: EngineRegistry, clock: Clock) {
    this.#store = store;
    this.#engines = engines;
    this.#clock = clock;
  }

  /** Names a file in a table over the files of all engines. */
  static key({ engine, hash }: Pick<ElsewhereFile, 'engine' | 'hash'>): string {
    return keyOf(engine, hash);
  }

  /** A window or a checkpoint was stored. */
  changed(): void {
    this.#read = null;
  }

  /** Whether the file that a record names was looked for and not found, or evicted. */
  isGone(engine: string, block: Pick<BlockRecord, 'hash' | 'mtimeNs'>): boolean {
    return this.#gone.has(versionOf(engine, block));
  }

  /** Bytes of the files, as recorded, but for those known to be gone. No engine is asked. */
  async recordedBytes(signal: AbortSignal): Promise<number> {
    let bytes = 0;
    for (const file of (await this.#files(await this.#owners(signal))).values()) bytes += file.sizeBytes;
    return bytes;
  }

  /** The files that are there now, of engines that can be reached. */
  async list(signal: AbortSignal): Promise<ElsewhereFile[]> {
    const owners = await this.#owners(signal);
    for (const owner of owners) {
      signal.throwIfAborted();
      if (this.#isResting(owner.engine)) continue;
      await this.#look(owner, signal).catch(() => this.#unreached.set(owner.engine, this.#clock.elapsedMs()));
    }
    return [...(await this.#files(owners.filter(({ engine }) => !this.#isResting(engine)))).values()];
  }

  /** @returns bytes that are there no longer: of files that were deleted, or had been gone. Those of an engine that fails stay. */
  async delete(files: readonly ElsewhereFile[], signal: AbortSignal): Promise<number> {
    let freedBytes = 0;
    for (const [engine, own] of Map.groupBy(files, ({ engine }) => engine)) {
      const hashes = own.map(({ hash }) => hash);
      try {
        const inTime = AbortSignal.any([signal, AbortSignal.timeout(engineMs)]);
        await this.#engines.get(engine).forget({ hashes, handle: null }, inTime);
      } catch {
        signal.throwIfAborted();
        this.#unreached.set(engine, this.#clock.elapsedMs());
        continue;
      }
      const deleted = new Set(hashes);
      for (const { engine: of, kv } of await this.#owners(signal))
        for (const block of of === engine ? kv.blocks : [])
          if (deleted.has(block.hash)) this.#gone.add(versionOf(engine, block));
      freedBytes += own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    }
    return freedBytes;
  }

  #isResting(engine: string): boolean {
    const atMs = this.#unreached.get(engine);
    return atMs !== undefined && this.#clock.elapsedMs() - atMs < restMs;
  }

  /** Finds out which of the files are there. @throws CwmError where that cannot be seen. */
  async #look({ engine, lineage: id, kv, ids: load }: Owner, signal: AbortSignal): Promise<void> {
    const ids = await load();
    const lineage = await nullOn(this.#store.lineages.get(id), 'Corrupted');
    if (!ids || !lineage) return;
    const salt = saltOf({ ...lineage, generation: kv.saltGeneration });
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(engineMs)]);
    const located = await this.#engines.get(engine).locate({ ids, salt, handle: kv.handle }, inTime);
    if (!located.reachable) {
      this.#unreached.set(engine, this.#clock.elapsedMs());
      return;
    }
    const present = new Map(located.blocks.map(({ hash, stat }) => [hash, stat?.mtimeNs ?? null]));
    for (const block of kv.blocks) {
      const mtimeNs = present.get(block.hash);
      // Written again since: the file is there, and another record has to say so.
      if (mtimeNs === undefined) continue;
      if (mtimeNs === null) this.#gone.add(versionOf(engine, block));
      else this.#gone.delete(versionOf(engine, block));
    }
  }

  async #files(owners: readonly Owner[]): Promise<Map<string, ElsewhereFile>> {
    const files = new Map<string, ElsewhereFile>();
    for (const { engine, kv } of owners) {
      for (const { hash, sizeBytes, besideBytes = 0, mtimeNs } of kv.blocks) {
        if (this.isGone(engine, { hash, mtimeNs })) continue;
        const writtenAtMs = Number(BigInt(mtimeNs) / 1_000_000n);
        files.set(keyOf(engine, hash), { engine, hash, sizeBytes: sizeBytes + besideBytes, writtenAtMs });
      }
    }
    return files;
  }

  async #owners(signal: AbortSignal): Promise<readonly Owner[]> {
    const atMs = this.#clock.elapsedMs();
    if (this.#read && atMs - this.#read.atMs < goodForMs) return this.#read.owners;
    const owners = this.#readOwners(signal);
    const reading = { owners, atMs };
    this.#read = reading;
    return owners.catch((error: unknown) => {
      if (this.#read === reading) this.#read = null;
      throw error;
    });
  }

  async #readOwners(signal: AbortSignal): Promise<Owner[]> {
    const { windows, sessions, checkpoints } = this.#store;
    const owners: Owner[] = [];
    const add = (
      { engine, lineage }: { readonly engine: string; readonly lineage: LineageId },
      kv: KvRecord,
      ids: Owner['ids'],
    ): void => {
      if (!isBelowStorage(engine) && kv.engineKind !== 'embedded' && kv.blocks.length > 0)
        owners.push({ engine, lineage, kv, ids });
    };
    for (const { name, engine } of await windows.all()) {
      signal.throwIfAborted();
      if (isBelowStorage(engine)) continue;
      const [manifest, kv] = await Promise.all([windows.get(name), kvOf(this.#store, name)]).catch(() => unreadable);
      if (manifest && kv) add(manifest, kv, () => nullOn(windows.loadTokens(name), 'Corrupted', 'WindowNotFound'));
    }
    for (const id of await sessions.ids()) {
      signal.throwIfAborted();
      const checkpoint = await checkpoints.get(id).catch(() => null);
      if (!checkpoint) continue;
      const { engine, lineage, tokens }: { engine: string; lineage: LineageId; tokens: ContextTokens } =
        checkpoint.manifest;
      add({ engine, lineage }, checkpoint.kv, () =>
        nullOn(sessions.loadTokens(id, tokens.sha256), 'Corrupted', 'SessionNotFound'),
      );
    }
    return owners;
  }
}
