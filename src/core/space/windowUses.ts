import { nullOn } from '../../protocol/errors.ts';
import type { LineageId, WindowName } from '../../protocol/ids.ts';
import type { BlockRecord, KvRecord, WindowSummary } from '../../protocol/schemas/window.ts';
import { familyOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';

/** What the space operations need to know of a window. */
export interface WindowUse {
  readonly name: WindowName;
  /** Null when its manifest cannot be read: then none of its blocks may be deleted. */
  readonly window: WindowSummary | null;
}

/** All windows, as listed in the directory, so that none is missing that could still name a block. */
export async function windowUses(store: Store): Promise<WindowUse[]> {
  const names = await store.windows.names();
  const windows = new Map((await store.windows.all()).map((window) => [window.name, window]));
  return names.map((name) => ({ name, window: windows.get(name) ?? null }));
}

/** Time of the window's last thaw, by its receipts, or of its creation. */
export const lastUsedAt = ({ lastThaw, createdAt }: WindowSummary): string => lastThaw?.at ?? createdAt;

/**
 * The KV record of a window; null when the window is gone, or its record is damaged and so names no block.
 * @throws CwmError for every other failure: a record that cannot be read may still name blocks.
 */
export const kvOf = (store: Store, name: WindowName): Promise<KvRecord | null> =>
  nullOn(store.windows.loadKv(name), 'WindowNotFound', 'Corrupted');

/** In order. @throws CwmError as {@link kvOf}. */
export const blocksOf = async (store: Store, name: WindowName): Promise<readonly BlockRecord[]> =>
  (await kvOf(store, name))?.blocks ?? [];

/** The family of the window's lineage; null when the window is gone or its manifest is damaged. */
export async function familyIdOf(store: Store, name: WindowName): Promise<LineageId | null> {
  const manifest = await nullOn(store.windows.get(name), 'Corrupted');
  return manifest && familyOf(manifest.lineage);
}
