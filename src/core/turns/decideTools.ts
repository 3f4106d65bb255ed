import type { RouteInput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId, type MessageId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { PendingTools } from '../../protocol/schemas/toolCall.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';
import { offeredTools } from '../tools/askUser.ts';
import { offeredMemoryTools, withMemoryTools } from '../memory/tools.ts';
import { decided, type Decision } from '../tools/decisions.ts';
import { isDangerous, isUndecided, refusalOf } from '../tools/policy.ts';
import { recoverTurn } from './cutAnswer.ts';
import { headOf } from './branchAt.ts';
import { converse } from './converse.ts';
import { advance, isPaused } from './machine.ts';
import { closeCalls, runCalls } from './runCalls.ts';
import { samplingOf } from './send.ts';
import { updateRecord } from './turn.ts';
import { resumeTurn, withTurn } from './turns.ts';

/**
 * Allows tool calls that the session waits with, all or the named ones. Once each is decided on, they run and the turn goes on.
 *
 * @throws CwmError InvalidSessionId, SessionNotFound, InvalidTransition (nothing waits), InvalidParameter (no such call), and as `send`.
 */
export const approveTools = (
  core: CoreContext,
  input: RouteInput<'approveTools'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> =>
  decide(core, { input, decision: { decision: 'approved' }, forSession: input.forSession ?? false }, signal, reporter);

/** Refuses them; the model is told so, and why. @throws CwmError as {@link approveTools}. */
export const denyTools = (
  core: CoreContext,
  input: RouteInput<'denyTools'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> =>
  decide(
    core,
    { input, decision: { decision: 'denied', ...(input.reason && { reason: input.reason }) }, forSession: false },
    signal,
    reporter,
  );

/**
 * Answers a question of the model. Once nothing else waits, the turn goes on.
 *
 * @throws CwmError as {@link approveTools}, and InvalidParameter (the call asks nothing, an answer that says nothing).
 */
export function answerQuestion(
  core: CoreContext,
  input: RouteInput<'answerQuestion'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const { call, answer, ...given } = input;
  if (answer.trim() === '') throw new CwmError('InvalidParameter', 'The answer is empty.');
  requireWellFormed(answer, 'The answer');
  const decision = { decision: 'approved', answer } as const;
  return decide(
    core,
    { input: { ...given, ...(call !== undefined && { calls: [call] }) }, decision, forSession: false },
    signal,
    reporter,
  );
}

/**
 * Stops the turn that runs, ends the one that waits for a decision, or dismisses the failure of the last one. What came of an answer stays.
 *
 * @throws CwmError InvalidSessionId, SessionNotFound.
 */
export async function cancelTurn(
  core: CoreContext,
  input: RouteInput<'cancelTurn'>,
  signal: AbortSignal,
): Promise<Session> {
  const id = parseSessionId(input.session);
  core.running.get(id)?.abort(new CwmError('Cancelled', 'The turn was cancelled.'));
  return core.turns.run(
    id,
    async () => {
      const session = await core.store.sessions.get(id);
      if (!session) throw new CwmError('SessionNotFound', `There is no session "${id}".`);
      if (isPaused(session)) return closeCalls(core, session, 'cancel');
      if (session.phase === 'PermanentFailure') return updateRecord(core, advance(session, 'reset'), {});
      // The turn that left it so is over.
      return recoverTurn(core, session);
    },
    signal,
  );
}

type DecidingInput = Pick<RouteInput<'approveTools'>, 'session' | 'calls' | 'engine' | 'maxTokens' | 'temperature'>;

interface Deciding {
  readonly input: DecidingInput;
  readonly decision: Decision;
  /** Whether the tools need no approval from now on. */
  readonly forSession: boolean;
}

function decide(
  core: CoreContext,
  { input, decision, forSession }: Deciding,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const startedMs = core.clock.elapsedMs();
  return withTurn(
    core,
    parseSessionId(input.session),
    signal,
    async (session, signal) => {
      const pending = decided(requireWaiting(session), input.calls, decision);
      if (pending.calls.some(isUndecided)) {
        const waiting = await updateRecord(core, session, { pendingTools: pending });
        return stillWaiting(waiting, pending);
      }
      // A model server that does not answer leaves the decision to be made again.
      const turn = await resumeTurn(core, session, input.engine ?? session.engine, signal);
      const { tools: ofMachine } = await offeredTools(core.tools, session.project, signal);
      const found = withMemoryTools(ofMachine, await offeredMemoryTools(core, turn, null, signal));
      const tools = new Map(found.map((tool) => [tool.name, tool]));
      const before = session.pendingTools?.calls ?? [];
      const approved = pending.calls
        .filter((call, at) => forSession && call.decision === 'approved' && before[at]?.decision === undefined)
        .map(({ name }) => tools.get(name))
        .filter((tool) => tool && !isDangerous(tool));
      // The session may plan since the question was asked.
      const calls = pending.calls.map((call) => ({
        ...call,
        ...refusalOf(session.settings ?? {}, tools.get(call.name)),
      }));
      const runs = calls.some((call) => call.decision !== 'denied');
      turn.session = await updateRecord(core, runs ? advance(session, 'runTools') : session, {
        pendingTools: { ...pending, calls },
        approvedTools: [...new Set([...(session.approvedTools ?? []), ...approved.map((tool) => tool?.name ?? '')])],
      });
      const sampling = samplingOf(session, { maxTokens: input.maxTokens, temperature: input.temperature });
      const notes = await runCalls(core, turn, { tools, maxTokens: sampling.maxTokens, reporter }, signal);
      const standing = { added: [], inPool: true, round: pending.round + 1 };
      const said = await converse(core, turn, standing, { sampling, continueFrom: undefined, reporter }, signal);
      return {
        ...said,
        notes: [...notes, ...said.notes],
        fromVersion: session.version,
        ms: core.clock.elapsedMs() - startedMs,
      };
    },
    { decides: true },
  );
}

/** @throws CwmError InvalidTransition. */
function requireWaiting(session: Session): PendingTools {
  const { pendingTools, id } = session;
  if (isPaused(session) && pendingTools) return pendingTools;
  throw new CwmError('InvalidTransition', `Session "${id}" waits for no decision about tool calls.`);
}

const stillWaiting = (session: Session, pendingTools: PendingTools): SendResult => ({
  session: session.id,
  version: session.version,
  text: '',
  messageId: headOf(session) as MessageId,
  promptTokens: 0,
  outputIds: [],
  cachedTokens: null,
  finishReason: 'tool_calls',
  timeToFirstTokenMs: null,
  ms: 0,
  prefixBreak: null,
  pendingTools,
  notes: [],
});
