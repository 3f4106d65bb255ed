import { isCwmError, nullOn } from '../../../protocol/errors.ts';
import { parseSessionId, parseWindowName, type SessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';

/** What an operation that takes a model server is about, as far as its input says so. */
interface About {
  readonly session?: string;
  readonly window?: string;
  readonly engine?: string;
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
    await checkpoints.saveDisplaced(about.engine ?? (await engineOf(core, id, about)), id, signal);
  } catch (error) {
    if (!isCwmError(error, 'InvalidSessionId', 'InvalidWindowName', 'InvalidParameter')) throw error;
  }
}

async function engineOf({ store, engines }: CoreContext, id: SessionId | null, { window }: About): Promise<string> {
  const of =
    window === undefined
      ? id && (await nullOn(store.sessions.get(id), 'Corrupted'))
      : await nullOn(store.windows.get(parseWindowName(window)), 'Corrupted');
  return of?.engine ?? engines.defaultSpec;
}
