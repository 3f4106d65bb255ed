import type { MessageRole } from '../../protocol/schemas/session.ts';
import type { ToolCall } from '../../protocol/schemas/toolCall.ts';
import type { OtherPart } from './content.ts';
import type { AnswerError } from './answerError.ts';

/** One thing that was said, whichever wire format it came in. */
export interface Item {
  readonly role: MessageRole;
  /** All its texts; empty where it only calls tools. */
  readonly text: string;
  /** Of an assistant that calls tools. Default: none. */
  readonly calls?: readonly ToolCall[];
  /** Of a tool: the id of the call that it answers. */
  readonly callId?: string;
  /** Who speaks, where a message names somebody; of a tool, its call says so. */
  readonly name?: string;
  /** What the model wrote for itself. */
  readonly reasoning?: string;
  /** Parts that are no text, each in a form that is equal for equal parts. Default: none. */
  readonly others?: readonly string[];
  /** Those of them that chat completions have a form for, as they have them. */
  readonly parts?: readonly OtherPart[];
}

/** What a client asks a model for. */
export interface Asked {
  readonly model: string | null;
  readonly streams: boolean;
  /** Texts before the first other message, joined; empty for none. */
  readonly system: string;
  readonly items: readonly Item[];
  /** As the client wrote them. */
  readonly tools: readonly unknown[];
}

/** How far an answer has come. */
export interface Answer {
  readonly item: Item;
  /** The server said that it ended, and named no error. */
  readonly isWhole: boolean;
  readonly error: AnswerError | null;
  /** Such as `stop`, `length`, `tool_calls`; null: it said none. */
  readonly finishReason: string | null;
  /** Which of the client's stop sequences ended it. Default: the server names none. */
  readonly stopSequence?: string;
  readonly usage: AnswerUsage | null;
  /** Null where the server tells none. */
  readonly ids: { readonly prompt: readonly number[]; readonly output: readonly number[] } | null;
  /** The model that the server says it used. */
  readonly model: string | null;
  /** What the client may name of it: the server's own id, and its parts as JSON. Default: the client gets names of the gateway's. */
  readonly own?: { readonly id: string | null; readonly output: readonly string[] };
}

export interface AnswerUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number | null;
  readonly outputTokens: number;
}

/** The answer of a model as a chat has it in the next request. */
export const chatMessageOf = ({ text, calls = [] }: Item): object => ({
  role: 'assistant',
  content: text,
  ...(calls.length > 0 && {
    tool_calls: calls.map(({ id, name, arguments: given }) => ({
      id,
      type: 'function',
      function: { name, arguments: given },
    })),
  }),
});

/** Leading system messages are one text; a later one stays where it is. */
export function splitSystem(items: readonly Item[]): Pick<Asked, 'system' | 'items'> {
  const first = items.findIndex(({ role }) => role !== 'system');
  const lead = first === -1 ? items.length : first;
  return {
    system: items
      .slice(0, lead)
      .map(({ text }) => text)
      .join('\n\n'),
    items: items.slice(lead),
  };
}
