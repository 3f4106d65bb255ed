import { isCwmError, nullOn } from '../../../protocol/errors.ts';
import { parseSessionId, parseWindowName, type SessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';

/** What an operation that takes a model server is about, as far as its input says so. */
interface About {
  readonly session?: string;
  readonly window?: string;
  readonly engine?: string;
  readonly copy?: boolean;
  readonly insist?: boolean;
}

/**
 * Before an operation takes a model server that has room for one conversation: saves the other one that is there, where no checkpoint has it. It
 * reads nothing where none is lost. The operation itself refuses what is wrong with its input.
 *
 * @throws the signal's reason, and those of the store.
 */
export async function saveDisplaced(core: CoreContext, about: About, signal: AbortSignal): Promise<void> {
  const { checkpoints } = core;
  try {
    const id = about.session === undefined ? null : parseSessionId(about.session);
    if (!checkpoints.mayDisplace(id)) return;
    const found = await findOf(core, id, about);
    await checkpoints.saveDisplaced(about.engine ?? found.engine, found.session, signal);
  } catch (error) {
    if (!isCwmError(error, 'InvalidSessionId', 'InvalidWindowName', 'InvalidParameter')) throw error;
  }
}

/** The engine that it takes, and the session that it is about: a window is one of its own session, unless it is thawed into a copy. */
async function findOf(
  { store, engines }: CoreContext,
  id: SessionId | null,
  { window, session: named, copy, insist, engine }: About,
): Promise<{ readonly engine: string; readonly session: SessionId | null }> {
  const manifest = window === undefined ? null : await nullOn(store.windows.get(parseWindowName(window)), 'Corrupted');
  // The window that a freeze names is only to be made.
  if (manifest === null) {
    const session = id && (await nullOn(store.sessions.get(id), 'Corrupted'));
    return { engine: session?.engine ?? engines.defaultSpec, session: id };
  }
  const isElsewhere = engine !== undefined && engine !== manifest.engine;
  const isCopy = copy === true || insist === true || named !== undefined || isElsewhere;
  return { engine: manifest.engine, session: isCopy ? null : manifest.session };
}
