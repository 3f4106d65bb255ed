import type { WindowStore } from '../../core/ports/windows.ts';
import type { IndexSource } from '../index/indexSource.ts';
import type { LiveIndex } from '../index/liveIndex.ts';
import type { WindowFiles } from '../records/windowFiles.ts';

/** The windows: their files, listed by the index. */
export function windowPart(files: WindowFiles, index: LiveIndex, source: IndexSource): WindowStore {
  return {
    create: (manifest, ids, kv) => files.create(manifest, ids, kv),
    get: (name) => files.get(name),
    loadTokens: (name) => files.loadTokens(name),
    loadKv: (name) => files.loadKv(name),
    loadKvHead: (name) => files.loadKvHead(name),
    replaceKv: (name, kv) => files.replaceKv(name, kv),
    setPinned: (name, isPinned) => files.setPinned(name, isPinned),
    isPinned: (name) => files.isPinned(name),
    delete: (name) => files.delete(name),
    list: (query) => index.query((rows) => rows.windows(query)),
    all: () => index.query((rows) => rows.allWindows()),
    names: () => source.windowNames(),
  };
}
