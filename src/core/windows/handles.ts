import { nullOn } from '../../protocol/errors.ts';
import type { LineageId } from '../../protocol/ids.ts';
import { familyOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';

/** Whether a window or a checkpoint that is stored names the KV of this handle. */
export async function isHandleNamed(store: Store, lineage: LineageId, handle: string): Promise<boolean> {
  const family = familyOf(lineage);
  for (const id of await store.sessions.ids()) {
    if ((await nullOn(store.checkpoints.get(id), 'Corrupted'))?.kv.handle === handle) return true;
  }
  for (let offset = 0; ;) {
    const { items, total } = await store.windows.list({ sortBy: 'createdAt', order: 'desc', limit: 100, offset });
    offset += items.length;
    for (const { name } of items) {
      const manifest = await nullOn(store.windows.get(name), 'Corrupted');
      if (!manifest || familyOf(manifest.lineage) !== family) continue;
      const kv = await nullOn(store.windows.loadKvHead(name), 'Corrupted', 'WindowNotFound');
      if (kv?.handle === handle) return true;
    }
    if (items.length === 0 || offset >= total) return false;
  }
}
