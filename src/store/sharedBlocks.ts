import { CwmError } from '../protocol/errors.ts';
import type { WindowName } from '../protocol/ids.ts';
import type { IndexSource } from './index/indexSource.ts';
import type { LiveIndex } from './index/liveIndex.ts';
import type { WindowFiles } from './windowFiles.ts';

/**
 * Which of these blocks another window has too. A block's hash covers the lineage's salt, so only windows of the same lineage
 * need to be read, newest first, until every hash was seen.
 */
export async function blocksHeldByOthers(
  hashes: readonly string[],
  except: WindowName,
  parts: { readonly windows: WindowFiles; readonly index: LiveIndex; readonly source: IndexSource },
): Promise<ReadonlySet<string>> {
  const { lineage } = await parts.windows.require(except);
  const wanted = new Set(hashes);
  const held = new Set<string>();
  for (const name of await windowsOfLineage(lineage, parts)) {
    if (wanted.size === 0) break;
    if (name === except) continue;
    for (const hash of await blockHashes(name, lineage, parts.windows)) {
      if (wanted.delete(hash)) held.add(hash);
    }
  }
  return held;
}

/** Without the index every window is looked at: slow, and better than to delete what another window needs. */
async function windowsOfLineage(
  lineage: string,
  { index, source }: { readonly index: LiveIndex; readonly source: IndexSource },
): Promise<readonly WindowName[]> {
  try {
    return await index.query((rows) => rows.windowsOfLineage(lineage) as WindowName[]);
  } catch (error) {
    if (error instanceof CwmError && error.code === 'CWM-4002') return source.windowNames();
    throw error;
  }
}

async function blockHashes(name: WindowName, lineage: string, windows: WindowFiles): Promise<string[]> {
  try {
    if ((await windows.get(name))?.lineage !== lineage) return [];
    return (await windows.loadKv(name)).blocks.map((block) => block.hash);
  } catch (error) {
    // Deleted meanwhile, or its record is damaged: then it can't name a block any more either, and its thaw rebuilds them.
    if (error instanceof CwmError && (error.code === 'CWM-2002' || error.code === 'CWM-4004')) return [];
    throw error;
  }
}
