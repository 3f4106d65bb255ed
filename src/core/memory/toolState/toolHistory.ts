import type { Message } from '../../../protocol/schemas/session.ts';
import { MessageFold } from '../../prompt/messageFold.ts';

/** Calls that are looked at (S1-94). */
const mostCalls = 1_000;

/** A call of a tool that the conversation has, with what came of it. */
export interface PastCall {
  /** `call-0001`: its place in the conversation. */
  readonly id: string;
  readonly name: string;
  /** As the model wrote them. */
  readonly arguments: string;
  readonly text: string;
  readonly outcome: Extract<Message['content'], { readonly type: 'tool-result' }>['outcome'];
  /** It came since the user's last message. */
  readonly isOfThisTurn: boolean;
  /** Places of the messages that have its result, and that asked for it. */
  readonly at: number;
  readonly askedAt: number;
}

interface History {
  /** Place of the user's last message. */
  begun: number;
  /** Of all calls, also those that are looked at no more. */
  count: number;
  calls: Omit<PastCall, 'isOfThisTurn'>[];
  readonly given: Map<string, { readonly text: string; readonly at: number }>;
}

const histories = new MessageFold<History>(
  () => ({ begun: -1, count: 0, calls: [], given: new Map() }),
  (history, { role, content }, at) => {
    if (role === 'user' && content.type !== 'context') history.begun = at;
    if (content.type === 'tool-calls' || content.type === 'question')
      for (const call of content.calls) history.given.set(call.id, { text: call.arguments, at });
    if (content.type !== 'tool-result') return;
    const { call, name, text, outcome } = content;
    const id = `call-${String(++history.count).padStart(4, '0')}`;
    const asked = history.given.get(call) ?? { text: '', at };
    history.calls.push({ id, name, arguments: asked.text, text, outcome, at, askedAt: asked.at });
    if (history.calls.length > 2 * mostCalls) history.calls = history.calls.slice(-mostCalls);
  },
);

/** The calls of a conversation, oldest first. The messages are the only record: what is derived from them cannot differ from them. */
export function callsOf(messages: readonly Message[]): PastCall[] {
  const { begun, calls } = histories.of(messages);
  return calls.slice(-mostCalls).map((call) => ({ ...call, isOfThisTurn: call.at > begun }));
}

/** Arguments in one order of their fields, so that equal ones are equal texts. */
export function canonical(text: string): string {
  try {
    return JSON.stringify(sorted(JSON.parse(text === '' ? '{}' : text)));
  } catch {
    return text;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
