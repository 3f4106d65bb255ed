import { CwmError } from '../../protocol/errors.ts';
import type { WindowName } from '../../protocol/ids.ts';
import type { BlockRecord, WindowSummary } from '../../protocol/window.ts';
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
 * The blocks that a window names, in order: none when it was deleted meanwhile, or its record is damaged and so names none.
 * @throws CwmError whatever else keeps the record from being read: not to know is not to name none.
 */
export async function blocksOf(store: Store, name: WindowName): Promise<readonly BlockRecord[]> {
  try {
    return (await store.loadWindowKv(name)).blocks;
  } catch (error) {
    if (error instanceof CwmError && (error.code === 'CWM-2002' || error.code === 'CWM-4004')) return [];
    throw error;
  }
}
