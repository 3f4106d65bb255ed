import { CwmError } from '../protocol/errors.ts';
import type { Lifecycle } from '../protocol/schemas/session.ts';

/** Which storage states a session may go to from each (S0-30). */
const successors: Readonly<Record<Lifecycle, readonly Lifecycle[]>> = {
  active: ['frozen', 'expired', 'deleted'],
  frozen: ['thawed', 'deleted'],
  thawed: ['active', 'frozen', 'deleted'],
  expired: ['deleted'],
  deleted: [],
};

/** @throws CwmError InvalidTransition naming from, to and what would be allowed. */
export function moveLifecycle(from: Lifecycle, to: Lifecycle): Lifecycle {
  const allowed = successors[from];
  if (allowed.includes(to)) return to;
  throw new CwmError('InvalidTransition', `A session that is ${from} can't become ${to}.`, {
    context: { from, to, allowed },
  });
}
