import { listOf, objectOf, parsed, sortedJson, type JsonObject } from '../formats/json.ts';
import type { Item } from '../formats/item.ts';
import { shortHash } from '../recognition/canonical.ts';

/**
 * What must be equal for two messages of a chat to be two spellings of one: all that they say, also in fields that the gateway does not know.
 * Only what cannot reach the model makes no difference: the order of keys, a list of one text or that text, blanks and order inside the
 * arguments of calls, markers for caches. Where numbers may have lost digits, only the same bytes are the same.
 *
 * @param raw the message as the client wrote it.
 */
export function spellingKey(message: unknown, raw: string): string {
  const { cache_control: _marker, ...given } = objectOf(message) ?? {};
  const calls = given['tool_calls'];
  const said = {
    ...given,
    ...('content' in given && { content: contentKey(given['content']) }),
    ...(Array.isArray(calls) && { tool_calls: calls.map(callKey) }),
  };
  return shortHash(objectOf(message) && isExact(message) ? sortedJson(said) : raw);
}

/** The same for an answer of which clients send no reasoning back, and blanks at its end as they like: only its calls are spelled as before. */
export const answerKey = ({ role, text, calls = [], callId, others = [] }: Item): string =>
  shortHash(
    JSON.stringify([
      role,
      text.trimEnd(),
      calls.map(({ id, name, arguments: written }) => [id, name, argumentsKey(written)]),
      callId ?? null,
      others,
    ]),
  );

function contentKey(content: unknown): unknown {
  const parts = listOf(content).map((part): JsonObject => {
    const { cache_control: _marker, ...given } = objectOf(part) ?? { part };
    return given;
  });
  const [only] = parts;
  const isText = parts.length === 1 && only?.['type'] === 'text' && Object.keys(only).length === 2;
  return isText && typeof only['text'] === 'string' ? only['text'] : Array.isArray(content) ? parts : content;
}

function callKey(call: unknown): unknown {
  const given = objectOf(call);
  const called = objectOf(given?.['function']);
  const written = called?.['arguments'];
  return typeof written === 'string' ? { ...given, function: { ...called, arguments: argumentsKey(written) } } : call;
}

/** Arguments as the JSON that they stand for, unless that has a number with more digits than JavaScript's have. */
function argumentsKey(written: string): string {
  const value = /\d{16}|\d[eE][+-]?\d/.test(written) ? null : parsed(written);
  return value === null ? written : sortedJson(value);
}

/** Whether no number in it can stand for another one that was written. Deeper levels count as inexact. */
export function isExact(value: unknown, levels = 100): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => isExact(each, levels - 1));
}
