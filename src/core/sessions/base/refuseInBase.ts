import { CwmError, nullOn } from '../../../protocol/errors.ts';
import { parseSessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';

/**
 * The next renewal deletes the session of a project's base, and with it everything that was said there.
 *
 * @throws CwmError InvalidTransition where a message goes to such a session.
 */
export async function refuseInBase({ store }: CoreContext, input: { readonly session: string }): Promise<void> {
  const id = parseSessionId(input.session);
  const session = await nullOn(store.sessions.get(id), 'Corrupted');
  if (!session?.project || (await store.projects.base(session.project))?.session !== id) return;
  throw new CwmError('InvalidTransition', `Session "${id}" is the base of its project, and takes no messages.`, {
    hint: 'Create a session in the project: it begins with the base.',
  });
}
