import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';
import { isDue, isOpen } from '../lifecycle.ts';
import { requireSession } from '../session.ts';
import { isAtRest } from '../turns/machine.ts';

/** Where a session's turn is, and what it waits for (S4-31). @throws CwmError InvalidSessionId, SessionNotFound. */
export async function turnState(core: CoreContext, input: RouteInput<'turnState'>): Promise<RouteOutput<'turnState'>> {
  const stored = await requireSession(core, parseSessionId(input.session));
  const turn = core.underWay.get(stored.id);
  const session = turn?.session.version === stored.version ? turn.session : stored;
  const { id, phase, lifecycle, activeBranch, version, pendingTools } = session;
  const isFree = isAtRest(session) && !core.turns.isBusy(id);
  return {
    session: id,
    phase,
    lifecycle,
    activeBranch,
    version,
    canSendMessage: isFree && isOpen(session) && !isDue(session, core.clock.now()),
    pendingToolApprovals:
      phase === 'AwaitingToolApproval'
        ? (pendingTools?.calls ?? []).filter((call) => call.why !== undefined && call.decision === undefined)
        : [],
    answering: turn?.answer?.begun.answer.id ?? null,
  };
}
