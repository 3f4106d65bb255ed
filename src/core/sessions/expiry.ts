import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseInstant } from '../../protocol/schemas/instant.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { isDue, moveLifecycle } from '../lifecycle.ts';
import { requireSession } from '../session.ts';

const pageSize = 100;

/** @returns the instant as the store writes it. @throws CwmError InvalidParameter when it is no instant of the future. */
export function parseExpiry(core: CoreContext, value: string): string {
  const at = parseInstant(value, 'expiresAt');
  if (Date.parse(at) > core.clock.now().getTime()) return at;
  throw new CwmError('InvalidParameter', `${JSON.stringify(value.slice(0, 40))} is not a time in the future.`, {
    hint: 'Give "expiresAt" as ISO 8601, like 2027-01-31T12:00:00Z.',
  });
}

/**
 * Changes when a session expires; null is never, the default. A session that has expired is open again.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter (not in the future), SessionNotFound.
 */
export async function setExpiry(
  core: CoreContext,
  input: RouteInput<'setExpiry'>,
  signal: AbortSignal,
): Promise<RouteOutput<'setExpiry'>> {
  const id = parseSessionId(input.session);
  const expiresAt = input.expiresAt === null ? null : parseExpiry(core, input.expiresAt);
  return core.turns.run(
    id,
    async () => {
      const { expiresAt: _, ...session } = await requireSession(core, id);
      const next: Session = {
        ...session,
        ...(expiresAt !== null && { expiresAt }),
        lifecycle: session.lifecycle === 'expired' ? moveLifecycle('expired', 'active') : session.lifecycle,
        updatedAt: core.clock.now().toISOString(),
        version: session.version + 1,
      };
      await core.store.sessions.update(next);
      return next;
    },
    signal,
  );
}

/**
 * Marks the sessions whose time has come; nothing of them is deleted. A session that cannot be changed now, because it is busy or the
 * store is read-only, is marked by a later call: until then its turns are refused all the same.
 */
export async function expireDue(core: CoreContext): Promise<void> {
  for (let offset = 0; ;) {
    const dueBy = core.clock.now().toISOString();
    const { items } = await core.store.sessions.list({ lifecycle: 'active', dueBy, limit: pageSize, offset });
    for (const { id } of items) if (core.turns.isBusy(id) || !(await expire(core, id))) offset++;
    if (items.length < pageSize) return;
  }
}

/** False when it could not be marked. */
async function expire(core: CoreContext, id: SessionId): Promise<boolean> {
  try {
    return await core.turns.run(id, async () => {
      const session = await core.store.sessions.get(id);
      if (!session || !isDue(session, core.clock.now())) return false;
      const { version } = session;
      await core.store.sessions.update({
        ...session,
        lifecycle: moveLifecycle(session.lifecycle, 'expired'),
        version: version + 1,
      });
      return true;
    });
  } catch (error) {
    if (isCwmError(error)) return false;
    throw error;
  }
}
