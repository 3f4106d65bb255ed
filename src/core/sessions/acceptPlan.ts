import type { RouteInput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { headOf, requireMessageOf } from '../turns/branchAt.ts';
import { answer, requireAnswerable, requireMessage } from '../turns/send.ts';
import { withTurn } from '../turns/turns.ts';

const goAhead = 'I accept the plan. Carry it out.';

/**
 * Accepts the plan that is the last message: the session acts from now on, and the model gets a message that says so. Where that message
 * gets no answer, the session acts all the same, and the message is its draft.
 *
 * @throws CwmError InvalidParameter (the last message is no whole plan), and as `send`.
 */
export async function acceptPlan(
  core: CoreContext,
  { text = goAhead, ...input }: RouteInput<'acceptPlan'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  requireMessage(text);
  return withTurn(core, parseSessionId(input.session), signal, async (session, signal) => {
    await requirePlan(core, session);
    // The beginning of the turn stores it.
    const acting: Session = { ...session, settings: { ...session.settings, mode: 'act' } };
    const said = await answer(core, acting, { text, input }, signal, reporter);
    return acting.settings?.role === 'planner' ? { ...said, notes: [...said.notes, stillPlans] } : said;
  });
}

/** @throws CwmError as {@link acceptPlan}, before anything is done. */
export async function checkAcceptance(
  core: CoreContext,
  session: Session,
  { text = goAhead, ...input }: RouteInput<'acceptPlan'>,
): Promise<void> {
  requireMessage(text);
  requireAnswerable(core, session.engine, input);
  await requirePlan(core, session);
}

const stillPlans = 'The role of the session is still "planner", so that its tools may only read.';

async function requirePlan(core: CoreContext, session: Session): Promise<void> {
  const head = headOf(session);
  const last = head === null ? null : await requireMessageOf(core, session, head);
  if (last?.content.type === 'plan' && last.cut === undefined) return;
  const why = last?.cut === undefined ? 'The last message is no plan' : 'The plan was cut';
  throw new CwmError('InvalidParameter', `${why}, so that it cannot be accepted.`, {
    hint: 'A session makes plans in the mode "plan" ("cwm session set --mode plan").',
  });
}
