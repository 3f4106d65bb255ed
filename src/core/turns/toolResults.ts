import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { PendingCall } from '../../protocol/schemas/toolCall.ts';
import type { CoreContext } from '../context.ts';
import { boundedResult } from '../tools/toolCalls.ts';
import { advance, isAtRest, type TurnEvent } from './machine.ts';
import { storeAnswer } from './storeAnswer.ts';
import { newMessage } from './turn.ts';

/** What came of a tool call. */
export type ToolResult = Pick<Extract<Message['content'], { readonly type: 'tool-result' }>, 'text' | 'outcome'>;

/**
 * Stores the result of the first of the pending calls behind the messages so far.
 *
 * @param events what happens with the last result.
 */
export async function storeResult(
  core: CoreContext,
  session: Session,
  messages: readonly Message[],
  { text, outcome }: ToolResult,
  events: readonly TurnEvent[],
): Promise<{ readonly session: Session; readonly messages: readonly Message[] }> {
  const { pendingTools } = session;
  const [call, ...left] = pendingTools?.calls ?? [];
  if (!pendingTools || !call) return { session, messages };
  const content = { type: 'tool-result', call: call.id, name: call.name, text: boundedResult(text), outcome } as const;
  const result = newMessage(core, messages, 'tool', content);
  const stored = await storeAnswer(core, session, {
    messages: [result],
    length: messages.length + 1,
    ids: null,
    events: left.length === 0 ? events : [],
    changed: { pendingTools: left.length === 0 ? undefined : { ...pendingTools, calls: left } },
  });
  const all = [...messages, ...stored.messages];
  core.conversations.added(session.id, messages, stored.messages);
  return { session: stored.session, messages: all };
}

/**
 * Ends a turn in the middle of its tool calls. Each call gets a result all the same: a conversation with a call and no result is one that
 * chat templates refuse.
 */
export async function closeCalls(core: CoreContext, session: Session, event: 'cancel' | 'recover'): Promise<Session> {
  let messages = await core.conversations.of(session);
  let closed = session;
  while (closed.pendingTools) {
    const result = { text: unfinished(closed.pendingTools.calls[0]), outcome: 'interrupted' } as const;
    ({ session: closed, messages } = await storeResult(core, closed, messages, result, [event]));
  }
  return isAtRest(closed) ? closed : advance(closed, event);
}

const unfinished = (call: PendingCall | undefined): string =>
  call?.why !== undefined && call.decision === undefined
    ? 'The turn was cancelled before anybody decided on this call. The tool did not run.'
    : 'The turn ended before the tool gave a result. It is not known whether it did anything.';
