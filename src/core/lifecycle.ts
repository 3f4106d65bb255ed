import { CwmError } from '../protocol/errors.ts';
import type { Lifecycle, Session } from '../protocol/schemas/session.ts';

/** The lifecycles that may follow each lifecycle (S0-30). An expired session can also be reopened, because expiry deletes nothing. */
const successors: Readonly<Record<Lifecycle, readonly Lifecycle[]>> = {
  active: ['frozen', 'expired', 'deleted'],
  frozen: ['thawed', 'deleted'],
  thawed: ['active', 'frozen', 'deleted'],
  expired: ['active', 'deleted'],
  deleted: [],
};

/** @throws CwmError InvalidTransition naming from, to and what would be allowed. */
export function moveLifecycle(from: Lifecycle, to: Lifecycle): Lifecycle {
  const allowed = successors[from];
  if (allowed.includes(to)) return to;
  throw new CwmError('InvalidTransition', `A session that is ${from} cannot become ${to}.`, {
    context: { from, to, allowed },
  });
}

/** Whether a session's own expiry has come, at that very instant too. Frozen and thawed sessions do not expire. */
export const isDue = ({ lifecycle, expiresAt }: Pick<Session, 'lifecycle' | 'expiresAt'>, now: Date): boolean =>
  lifecycle === 'active' && expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime();

/** Whether the session takes another turn. */
export const isOpen = ({ lifecycle }: Pick<Session, 'lifecycle'>): boolean =>
  lifecycle === 'active' || lifecycle === 'thawed';

/** @throws CwmError AlreadyFrozen, InvalidTransition (expired): the session must not change then. */
export function requireOpen(session: Session, now: Date): void {
  const { id, lifecycle, frozenAs, expiresAt } = session;
  if (lifecycle === 'frozen') {
    throw new CwmError('AlreadyFrozen', `Session "${id}" is frozen as window "${frozenAs}".`);
  }
  if (lifecycle === 'expired' || isDue(session, now)) {
    throw new CwmError('InvalidTransition', `Session "${id}" expired${expiresAt ? ` at ${expiresAt}` : ''}.`, {
      hint: 'Give it a later expiry, or none, to open it again.',
    });
  }
}
