import { nullOn } from '../../../protocol/errors.ts';
import type { ProjectUri } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../../protocol/schemas/window.ts';
import type { CoreContext } from '../../context.ts';
import { lineageOn, type Lineage } from '../../ports/lineages.ts';
import type { SessionContent } from '../../ports/sessions.ts';

/** How a session begins that begins with its project's base. */
export interface OnBase {
  readonly lineage: Lineage;
  readonly start: Pick<Session, 'settings' | 'model' | 'tokens'> &
    Required<Pick<Session, 'base'>> & {
      readonly messageIds: WindowManifest['messageIds'];
    };
  readonly content: SessionContent;
}

/**
 * Null where the project has no base for this model server, its records are damaged, or it has tools that the session may not have: the session
 * then begins empty.
 */
export async function onBase(
  { store }: Pick<CoreContext, 'store'>,
  project: ProjectUri | null,
  { engine, givesTools }: { readonly engine: string; readonly givesTools: boolean },
): Promise<OnBase | null> {
  const base = project && (await store.projects.base(project));
  if (!base || base.engine !== engine) return null;
  const manifest = await nullOn(store.windows.get(base.window), 'Corrupted');
  const ids = manifest && (await nullOn(store.windows.loadTokens(base.window), 'Corrupted', 'WindowNotFound'));
  const shared = manifest && (await nullOn(store.lineages.get(base.lineage), 'Corrupted'));
  if (!manifest || !ids || !shared) return null;
  const { messageIds, tokens, model, settings } = manifest;
  if (settings?.tools && !givesTools) return null;
  return {
    lineage: lineageOn(shared),
    start: { ...(settings && { settings }), model, tokens, base: base.window, messageIds },
    content: { from: manifest.session, messageIds, tokenIds: ids },
  };
}
