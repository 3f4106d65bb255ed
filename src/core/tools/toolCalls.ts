import { formatCount } from '../../base/format.ts';
import { randomId } from '../../base/hash.ts';
import type { ToolCall } from '../../protocol/schemas/toolCall.ts';
import { jsonObjectSchema, type JsonObject } from '../../protocol/schemas/tracker.ts';

/** Calls of one message that are taken; a model that makes more is told so. */
const mostCalls = 32;

/** The calls as they are stored: each with an id of its own, whatever the model or its server called them. */
export function namedCalls(calls: readonly ToolCall[]): ToolCall[] {
  const ids = new Set<string>();
  return calls.slice(0, mostCalls).map((call) => {
    const id = call.id === '' || call.id.length > 128 || ids.has(call.id) ? `call-${randomId()}` : call.id;
    ids.add(id);
    return { ...call, id };
  });
}

/** The arguments, or what is wrong with them, in plain words. No arguments are an empty object. */
export function parseArguments(text: string): { readonly given: JsonObject } | { readonly problem: string } {
  if (text.trim() === '') return { given: {} };
  try {
    const parsed = jsonObjectSchema.safeParse(JSON.parse(text));
    return parsed.success ? { given: parsed.data } : { problem: 'The arguments are not a JSON object.' };
  } catch (error) {
    return { problem: `The arguments are not JSON: ${(error as Error).message}` };
  }
}

/** Characters of a result: all of it is in each prompt; or the model pages through it. */
const mostResultCharacters = 64 * 1024;
const mostPagedCharacters = 4 * 1024 * 1024;

/** @param isPaged a result that is too long for a prompt is a page of the session's memory. */
export function boundedResult(text: string, isPaged: boolean): string {
  const most = isPaged ? mostPagedCharacters : mostResultCharacters;
  const whole = text.toWellFormed();
  if (whole.length <= most) return whole;
  const left = whole.length - most;
  return `${whole.slice(0, most).toWellFormed()}\n[${formatCount(left)} more characters were left out.]`;
}
