import { join } from 'node:path';
import type { TrashStore } from '../../core/ports/trash.ts';
import type { TrashItem } from '../../protocol/schemas/space.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId, parseWindowName } from '../../protocol/ids.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import type { RecordListener } from '../index/liveIndex.ts';
import type { LiveMessageSearch } from '../index/messageSearch.ts';
import type { SessionFiles } from '../records/sessionFiles.ts';
import type { Trash } from '../records/trash.ts';
import type { WindowFiles } from '../records/windowFiles.ts';

/** The trash: what is restored from it goes back to where its kind of record lies. */
export function trashPart(
  parts: StoreDisk,
  trash: Trash,
  sessions: SessionFiles,
  windows: WindowFiles,
  { indexes, search }: { readonly indexes: RecordListener; readonly search: Pick<LiveMessageSearch, 'forgetImage'> },
): TrashStore {
  const takeBack = async ({ kind, name }: TrashItem, path: string): Promise<void> => {
    if (kind === 'other') throw new CwmError('InvalidParameter', `${name} is neither a session nor a window.`);
    await hasDirectory(parts.files, path);
    if (kind === 'window') {
      const window = parseWindowName(name);
      await windows.restore(window, path).finally(() => indexes.changed({ window }));
    } else {
      const session = parseSessionId(name);
      await sessions.restore(session, path).finally(() => indexes.changed({ session }));
    }
  };
  return {
    list: () => trash.items(),
    restore: (id) => trash.takeOut(id, takeBack),
    removeSession: async (session) => {
      const items = await trash.items();
      const [last, ...earlier] = items.filter(({ kind, name }) => kind === 'session' && name === session);
      const doomed = last ? [last] : [];
      // An earlier session of this id needs its windows: which of them are whose, nobody can tell.
      for (const item of earlier.length === 0 ? items : []) {
        if (item.kind !== 'window') continue;
        if ((await windows.sessionIn(join(parts.layout.trash, item.id))) === session) doomed.push(item);
      }
      const removed: TrashItem[] = [];
      for (const { id } of doomed) removed.push(await trash.remove(id));
      if (last) await search.forgetImage();
      return removed;
    },
    empty: async (which) => {
      const removed = await trash.empty(which);
      if (removed.some(({ kind }) => kind === 'session')) await search.forgetImage();
      return removed;
    },
  };
}
