import { nullOn } from '../../protocol/errors.ts';
import type { LineageId, WindowName } from '../../protocol/ids.ts';
import type { BlockRecord, KvRecord, WindowSummary } from '../../protocol/schemas/window.ts';
import type { Store } from '../ports/store.ts';

/** A window as those see it who look for space. */
export interface WindowUse {
  readonly name: WindowName;
  /** Null when its manifest can't be read: nothing of it may be taken then. */
  readonly window: WindowSummary | null;
}

/** Every window there is. By the directory, so that none is left out that could still name a block. */
export async function windowUses(store: Store): Promise<WindowUse[]> {
  const names = await store.windowNames();
  const windows = new Map((await store.allWindows()).map((window) => [window.name, window]));
  return names.map((name) => ({ name, window: windows.get(name) ?? null }));
}

/** By its receipts: of its last thaw, or of when it was made. */
export const lastUsedAt = ({ lastThaw, createdAt }: WindowSummary): string => lastThaw?.at ?? createdAt;

/**
 * What was recorded of a window's KV: null when it was deleted meanwhile, or its record is damaged and so names no block.
 * @throws CwmError whatever else keeps the record from being read: not to know is not to name none.
 */
export const kvOf = (store: Store, name: WindowName): Promise<KvRecord | null> =>
  nullOn(store.loadWindowKv(name), 'WindowNotFound', 'Corrupted');

/** In order. @throws CwmError as {@link kvOf}. */
export const blocksOf = async (store: Store, name: WindowName): Promise<readonly BlockRecord[]> =>
  (await kvOf(store, name))?.blocks ?? [];

/** Null when the window is gone or its manifest is damaged. */
export const lineageOf = async (store: Store, name: WindowName): Promise<LineageId | null> =>
  (await nullOn(store.getWindow(name), 'Corrupted'))?.lineage ?? null;
