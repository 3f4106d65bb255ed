import { ApiError } from './apiError.ts';
import type { RequestMessage } from './requests.ts';

/** Text parts become one text. @throws ApiError 400 for parts that are no text. */
export function withPlainContent(message: RequestMessage): object {
  const { content } = message;
  if (!Array.isArray(content)) return { ...message, content: content ?? '' };
  const texts = content.map(({ type, text }) => {
    if (type !== 'text' || typeof text !== 'string')
      throw new ApiError(400, `Content of type "${type}" is not supported.`);
    return text;
  });
  return { ...message, content: texts.join('\n') };
}

interface Called {
  readonly id?: unknown;
  readonly function?: { readonly arguments?: unknown };
}

const callsOf = (message: object): readonly Called[] => {
  const { tool_calls: calls } = message as { readonly tool_calls?: unknown };
  return Array.isArray(calls) ? (calls as Called[]) : [];
};

/** Templates expect the arguments of a call as an object, and write a string in quotes. What is no JSON stays as it was written. */
export function withReadArguments(message: object): object {
  const calls = callsOf(message);
  if (calls.length === 0) return message;
  return {
    ...message,
    tool_calls: calls.map((call) => ({
      ...call,
      ...(call.function && { function: { ...call.function, arguments: readArguments(call.function.arguments) } }),
    })),
  };
}

function readArguments(given: unknown): unknown {
  if (typeof given !== 'string') return given;
  try {
    return given.trim() === '' ? {} : (JSON.parse(given) as unknown);
  } catch {
    return given;
  }
}

const isResult = (message: object | undefined): boolean =>
  message !== undefined && 'role' in message && message.role === 'tool';

/** For templates that take one call in a message: each gets a message of its own, with its result behind it. */
export function oneCallEach(messages: readonly object[]): readonly object[] {
  const split: object[] = [];
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at] ?? {};
    const calls = callsOf(message);
    if (calls.length < 2) {
      split.push(message);
      continue;
    }
    const results: object[] = [];
    while (isResult(messages[at + 1])) results.push(messages[++at] ?? {});
    for (const [place, call] of calls.entries()) {
      split.push({ ...message, ...(place > 0 && { content: '' }), tool_calls: [call] });
      split.push(...results.filter((result) => (result as { tool_call_id?: unknown }).tool_call_id === call.id));
    }
  }
  return split;
}
