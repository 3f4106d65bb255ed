import type { SessionId } from '../../protocol/ids.ts';
import type { TrashItem } from '../../protocol/schemas/space.ts';

export interface TrashStore {
  /** The last deleted item comes first. */
  list(): Promise<readonly TrashItem[]>;
  /**
   * Restores a deleted session or window. @throws CwmError PathNotFound when it is not in the trash, WindowExists or SessionExists when
   * the name is taken by now, SessionNotFound when a window's session is gone.
   */
  restore(id: string): Promise<TrashItem>;
  /** Removes a session for good, as it was deleted last, and the windows of it that are in the trash. @returns the removed items. */
  removeSession(session: SessionId): Promise<readonly TrashItem[]>;
  /** Removes for good the items in the trash that are past their grace time, or all. @returns the removed items. */
  empty(which: 'expired' | 'all'): Promise<readonly TrashItem[]>;
}
