import { countOf, listOf, objectOf, parsed, textOf } from '../json.ts';

/** What one event of a streamed chat adds to the answer. */
export interface ChatDelta {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly {
    readonly index: number;
    readonly id: string;
    readonly name: string;
    readonly arguments: string;
  }[];
}

/** Null for an event that adds nothing. */
export function chatDelta(data: string): ChatDelta | null {
  const choice = objectOf(listOf(objectOf(parsed(data))?.['choices'])[0]);
  const delta = objectOf(choice?.['delta']);
  if (!delta) return null;
  return {
    text: textOf(delta['content']),
    reasoning: textOf(delta['reasoning_content']) || textOf(delta['reasoning']),
    calls: listOf(delta['tool_calls']).map((call, at) => {
      const given = objectOf(call) ?? {};
      const called = objectOf(given['function']) ?? {};
      return {
        index: countOf(given['index']) ?? at,
        id: textOf(given['id']),
        name: textOf(called['name']),
        arguments: textOf(called['arguments']),
      };
    }),
  };
}

/** One event with its name, as Responses and Messages have them. */
export const namedEvent = (type: string, fields: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
