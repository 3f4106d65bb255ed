import type { BlockRecords } from '../../core/ports/blockRecords.ts';
import { familyOf } from '../../core/ports/lineages.ts';
import { isCwmError, nullOn } from '../../protocol/errors.ts';
import type { LineageId, WindowName } from '../../protocol/ids.ts';
import type { BlockRecord, KvRecord } from '../../protocol/schemas/window.ts';
import type { IndexSource } from './indexSource.ts';
import type { LiveIndex } from './liveIndex.ts';
import type { CheckpointFiles } from '../records/checkpointFiles.ts';
import type { WindowFiles } from '../records/windowFiles.ts';

/**
 * What other windows and automatic checkpoints recorded about a window's blocks. A block's hash covers the lineage's salt, so only windows of the same family of
 * lineages need to be read.
 */
export class SharedBlocks implements BlockRecords {
  readonly #windows: WindowFiles;
  readonly #checkpoints: CheckpointFiles;
  readonly #index: LiveIndex;
  readonly #source: IndexSource;

  constructor(windows: WindowFiles, checkpoints: CheckpointFiles, index: LiveIndex, source: IndexSource) {
    this.#windows = windows;
    this.#checkpoints = checkpoints;
    this.#index = index;
    this.#source = source;
  }

  async heldByOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlySet<string>> {
    const wanted = new Set(hashes);
    const held = new Set<string>();
    for await (const { blocks, handle } of this.#recordsOfOthers(except)) {
      for (const { hash } of blocks) if (wanted.delete(hash)) held.add(hash);
      if (handle !== null && wanted.delete(handle)) held.add(handle);
      if (wanted.size === 0) break;
    }
    return held;
  }

  async checksumsOfOthers(
    hashes: readonly string[],
    except: WindowName,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const found = await recordsOf(hashes, this.#recordsOfOthers(except));
    return new Map([...found].map(([hash, records]) => [hash, [...new Set(records.map(({ checksum }) => checksum))]]));
  }

  recordsOfLineage(
    lineage: LineageId,
    hashes: readonly string[],
    mostWindows?: number,
  ): Promise<ReadonlyMap<string, readonly BlockRecord[]>> {
    return recordsOf(hashes, this.#records(familyOf(lineage), null, mostWindows));
  }

  async *#recordsOfOthers(except: WindowName): AsyncGenerator<KvRecord> {
    const lineage = familyOf((await this.#windows.require(except)).lineage);
    yield* this.#records(lineage, except);
    for (const session of await this.#source.sessionIds()) {
      const checkpoint = await nullOn(this.#checkpoints.get(session), 'UnsupportedSchema');
      if (checkpoint && familyOf(checkpoint.manifest.lineage) === lineage) yield checkpoint.kv;
    }
  }

  async *#records(lineage: string, except: WindowName | null, mostWindows?: number): AsyncGenerator<KvRecord> {
    for (const name of (await this.#windowsOfLineage(lineage)).slice(0, mostWindows)) {
      const record = name === except ? null : await this.#record(name, lineage);
      if (record) yield record;
    }
  }

  /**
   * Newest first. Without the index it reads every window, which is slow, but better than deleting a block that another window needs.
   */
  async #windowsOfLineage(lineage: string): Promise<readonly WindowName[]> {
    try {
      return await this.#index.query((rows) => rows.windowsOfLineage(lineage));
    } catch (error) {
      if (isCwmError(error, 'ReadFailed')) return this.#source.windowNames();
      throw error;
    }
  }

  /** Null also when the window was deleted or its record is damaged: it cannot name a block any more, and its thaw rebuilds them. */
  async #record(name: WindowName, lineage: string): Promise<KvRecord | null> {
    const manifest = await nullOn(this.#windows.get(name), 'Corrupted');
    if (!manifest || familyOf(manifest.lineage) !== lineage) return null;
    return nullOn(this.#windows.loadKv(name), 'WindowNotFound', 'Corrupted');
  }
}

async function recordsOf(
  hashes: readonly string[],
  windows: AsyncIterable<KvRecord>,
): Promise<Map<string, BlockRecord[]>> {
  const wanted = new Set(hashes);
  const found = new Map<string, BlockRecord[]>();
  for await (const { blocks } of windows) {
    for (const block of blocks) {
      if (!wanted.has(block.hash)) continue;
      const known = found.get(block.hash);
      if (known) known.push(block);
      else found.set(block.hash, [block]);
    }
  }
  return found;
}
