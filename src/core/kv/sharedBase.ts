import { nullOn } from '../../protocol/errors.ts';
import type { CoreContext } from '../context.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import { familyOf, saltOf, type Lineage } from '../ports/lineages.ts';

/** What a session's KV has in common with its project's base. */
export interface SharedBase {
  readonly lineage: Lineage;
  readonly hashes: ReadonlySet<string>;
  /** Whether its own blocks are damaged, or may be: nobody knows where the damage is. */
  readonly isDamaged: boolean;
}

/**
 * The base whose salt the session still has, where the session's KV is given up because of damage; null: there is none. Damage that is found
 * behind the base leaves the base as it is.
 *
 * @param known hashes of the blocks that are known to be damaged.
 */
export async function sharedBase(
  { store }: Pick<CoreContext, 'store'>,
  { engine, manifest, kv }: FrozenContext,
  left: Lineage,
  known: readonly string[],
  signal: AbortSignal,
): Promise<SharedBase | null> {
  const { lineage } = manifest;
  const family = familyOf(lineage);
  if (family === lineage) return null;
  // The manifest never changes: the session may have moved to another project since, and the project to another base.
  const session = await nullOn(store.sessions.get(manifest.session), 'Corrupted');
  const project = session ? session.project : manifest.project;
  if (project === null) return null;
  const base = await store.projects.base(project);
  const ofBase = await nullOn(store.lineages.get(family), 'Corrupted');
  if (base?.lineage !== family || !ofBase || saltOf(ofBase) !== saltOf(left)) return null;
  const own = await nullOn(store.windows.loadKv(session?.base ?? base.window), 'Corrupted', 'WindowNotFound');
  const hashes = new Set(own?.blocks.map(({ hash }) => hash));
  const damaged = known.length > 0 ? known : await damagedFiles();
  return { lineage: ofBase, hashes, isDamaged: damaged.length === 0 || damaged.some((hash) => hashes.has(hash)) };

  async function damagedFiles(): Promise<string[]> {
    const sums = await engine.checksum(
      kv.blocks.map(({ hash }) => hash),
      signal,
    );
    return kv.blocks.filter(({ checksum }, index) => (sums[index] ?? checksum) !== checksum).map(({ hash }) => hash);
  }
}
