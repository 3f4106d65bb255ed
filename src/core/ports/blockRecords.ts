import type { LineageId, WindowName } from '../../protocol/ids.ts';
import type { BlockRecord } from '../../protocol/schemas/window.ts';

/** What the windows recorded about KV blocks. Only windows of one lineage share blocks. */
export interface BlockRecords {
  /**
   * Of these block hashes and handles of `except`, those that another window was recorded with. Only windows of its lineage are looked at:
   * a block's hash covers the lineage's salt. @throws CwmError WindowNotFound.
   */
  heldByOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlySet<string>>;
  /** The checksums that windows other than `except` recorded for these block hashes; a hash that no other window has is absent. */
  checksumsOfOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlyMap<string, readonly string[]>>;
  /**
   * The records of a lineage's windows for these block hashes, the newest window's first; hashes without a record are absent.
   *
   * @param mostWindows how many of the newest windows are read; default all.
   */
  recordsOfLineage(
    lineage: LineageId,
    hashes: readonly string[],
    mostWindows?: number,
  ): Promise<ReadonlyMap<string, readonly BlockRecord[]>>;
}
