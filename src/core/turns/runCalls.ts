import { isCwmError, toCwmError } from '../../protocol/errors.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { PendingCall } from '../../protocol/schemas/toolCall.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import type { Tool } from '../ports/tools.ts';
import { fitMessage, withinAnyPrompt } from '../memory/segments/fitMessage.ts';
import { procedureId } from '../memory/pages/procedurePages.ts';
import { runGuarded, type Guarded } from '../memory/toolState/toolState.ts';
import { isMemoryTool } from '../memory/memoryTool.ts';
import { askUser, questionOf } from '../tools/askUser.ts';
import { boundedResult, parseArguments } from '../tools/toolCalls.ts';
import { advance, isAtRest, isPaused, type TurnEvent } from './machine.ts';
import { storeAnswer } from './storeAnswer.ts';
import { newMessage, type Turn } from './turn.ts';

const defaultTimeoutSeconds = 30;

interface Running {
  readonly tools: ReadonlyMap<string, Tool>;
  /** Of the answer that follows the results. */
  readonly maxTokens: number;
  readonly reporter: Reporter;
}

/**
 * Runs the pending calls one after another and stores what comes of each at once. A stop of the turn takes effect after the tool that runs.
 *
 * @returns what the user is told of the results. @throws what `signal` was aborted with; each call has a result then, too.
 */
export async function runCalls(
  core: CoreContext,
  turn: Turn,
  { tools, maxTokens, reporter }: Running,
  signal: AbortSignal,
): Promise<string[]> {
  const notes: string[] = [];
  const last = isPaused(turn.session) ? 'denied' : 'toolsDone';
  for (;;) {
    const call = turn.session.pendingTools?.calls[0];
    if (!call) return notes;
    if (signal.aborted) {
      turn.session = await closeCalls(core, turn.session, 'cancel');
      signal.throwIfAborted();
    }
    reporter.progress(`Running the tool ${call.name}`);
    const waiting = (turn.session.pendingTools?.calls.length ?? 1) - 1;
    const { teaches, ...result } = await resultOf(core, turn, call, tools);
    const message = messageOf(core, turn, call, result);
    const offered = [...tools.values()].filter((tool) => !isMemoryTool(tool));
    const fitting = { maxTokens, tools: offered, following: waiting };
    // The tool has run: a model server that does not count must not lose what came of it.
    const { message: fitted, note } = await fitMessage(core, turn, message, fitting, signal).catch((error: unknown) => {
      if (!isCwmError(error) && !signal.aborted) throw error;
      return withinAnyPrompt(message, true);
    });
    if (note !== null) notes.push(note);
    const stored = await storeResult(core, turn.session, turn.messages, fitted, [last]);
    turn.session = stored.session;
    turn.messages = stored.messages;
    if (teaches) await noteProcedure(core, turn, procedureId(call.name));
  }
}

/** Who asks why a page was in the prompt is told. It costs no result. */
async function noteProcedure(core: CoreContext, { session, messages }: Turn, page: string): Promise<void> {
  const sequence = messages.length;
  const at = core.clock.now().toISOString();
  const cause = { actor: 'tool', reason: 'tool_prereq' } as const;
  const noted = { type: 'mutation', what: 'fault_in', page, ...cause, level: 1, sequence, at } as const;
  await core.memories.record(session, [noted]).catch((error: unknown) => {
    if (!isCwmError(error)) throw error;
  });
}

async function resultOf(
  core: CoreContext,
  turn: Turn,
  call: PendingCall,
  tools: ReadonlyMap<string, Tool>,
): Promise<ToolResult & Pick<Guarded, 'teaches'>> {
  const { session } = turn;
  const { name, arguments: text, decision, reason } = call;
  const failed = (why: string): ToolResult => ({ text: why, outcome: 'failed' });
  // Another program ran it.
  if (call.answer !== undefined && call.question === undefined) return { text: call.answer, outcome: 'done' };
  if (name === askUser.name) return answerTo(call);
  if (decision === 'denied')
    return { text: `This call was not allowed.${reason ? ` ${reason}` : ''}`, outcome: 'denied' };
  const tool = tools.get(name);
  if (!tool) return failed(`There is no tool "${name}". There are: ${[...tools.keys()].join(', ') || 'none'}.`);
  const parsed = parseArguments(text);
  if ('problem' in parsed) return failed(`${parsed.problem} The tool did not run.`);
  const seconds = session.settings?.tools?.timeoutSeconds ?? defaultTimeoutSeconds;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), seconds * 1000);
  try {
    const answer: Guarded = await Promise.race([
      isMemoryTool(tool)
        ? tool.run(core, turn, parsed.given, late.signal)
        : runGuarded(turn, tool, { call, given: parsed.given }, tools, (given) =>
            core.tools.call(session.project, name, given, late.signal),
          ),
      rejectedBy(late.signal),
    ]);
    const outcome = answer.hasFailed ? 'failed' : 'done';
    return { text: answer.text, outcome, ...(answer.teaches && { teaches: true }) };
  } catch (error) {
    return failed(
      late.signal.aborted
        ? `The tool gave no result within ${seconds} seconds.`
        : `The tool failed: ${toCwmError(error).message}`,
    );
  } finally {
    clearTimeout(timer);
  }
}

function answerTo(call: PendingCall): ToolResult {
  const { question, answer, reason, decision } = call;
  if (answer !== undefined) return { text: answer, outcome: 'done' };
  if (decision === 'denied')
    return { text: `The user did not answer.${reason ? ` ${reason}` : ''}`, outcome: 'denied' };
  const problem = question ?? questionOf(call);
  return { text: typeof problem === 'string' ? problem : 'The user was not asked.', outcome: 'failed' };
}

/** A tool that heeds no abort must not hold up the turn. */
const rejectedBy = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));

/** What came of a tool call. */
type ToolResult = Pick<Extract<Message['content'], { readonly type: 'tool-result' }>, 'text' | 'outcome'>;

const messageOf = (
  core: CoreContext,
  { session, messages }: Pick<Turn, 'session' | 'messages'>,
  call: PendingCall,
  { text, outcome }: ToolResult,
): Message =>
  newMessage(core, messages, 'tool', {
    type: 'tool-result',
    call: call.id,
    name: call.name,
    text: boundedResult(text, session.settings?.memory?.enableVm === true),
    outcome,
  });

/**
 * Stores the result of the first of the pending calls behind the messages so far.
 *
 * @param events what happens with the last result.
 */
async function storeResult(
  core: CoreContext,
  session: Session,
  messages: readonly Message[],
  result: Message,
  events: readonly TurnEvent[],
): Promise<{ readonly session: Session; readonly messages: readonly Message[] }> {
  const { pendingTools } = session;
  const [, ...left] = pendingTools?.calls ?? [];
  const stored = await storeAnswer(core, session, {
    messages: [result],
    length: messages.length + 1,
    ids: null,
    events: left.length === 0 ? events : [],
    changed: { pendingTools: pendingTools && left.length > 0 ? { ...pendingTools, calls: left } : undefined },
  });
  return { session: stored.session, messages: core.conversations.added(session.id, messages, stored.messages) };
}

/**
 * Ends a turn in the middle of its tool calls. Each call gets a result all the same: a conversation with a call and no result is one that
 * chat templates refuse.
 */
export async function closeCalls(core: CoreContext, session: Session, event: 'cancel' | 'recover'): Promise<Session> {
  let messages = await core.conversations.of(session);
  let closed = session;
  for (;;) {
    const call = closed.pendingTools?.calls[0];
    if (!call) break;
    // What a user or a client has answered is a result, whatever ended the turn.
    const said: ToolResult =
      call.answer === undefined
        ? { text: unfinished(call), outcome: 'interrupted' }
        : { text: call.answer, outcome: 'done' };
    const result = messageOf(core, { session: closed, messages }, call, said);
    ({ session: closed, messages } = await storeResult(core, closed, messages, result, [event]));
  }
  return isAtRest(closed) ? closed : advance(closed, event);
}

const unfinished = ({ why, decision }: PendingCall): string =>
  why !== undefined && decision === undefined
    ? 'The turn was cancelled before anybody decided on this call. The tool did not run.'
    : 'The turn ended before the tool gave a result. It is not known whether it did anything.';
