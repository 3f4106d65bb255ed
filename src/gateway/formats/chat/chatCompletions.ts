import type { MessageRole } from '../../../protocol/schemas/session.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import { contentOf, partOfChat } from '../content.ts';
import { type Asked, type Item, splitSystem } from '../item.ts';
import { listOf, objectOf, textOf, type JsonObject } from '../json.ts';

const roles = new Map<string, MessageRole>(
  Object.entries({
    system: 'system',
    developer: 'system',
    user: 'user',
    assistant: 'assistant',
    tool: 'tool',
    function: 'tool',
  } as const),
);

/** Reads a request of `/v1/chat/completions`; null for what has no list of messages. */
export function readChatRequest(body: JsonObject): Asked | null {
  if (!Array.isArray(body['messages'])) return null;
  const items = listOf(body['messages']).map(chatItem);
  return {
    model: typeof body['model'] === 'string' ? body['model'] : null,
    streams: body['stream'] === true,
    ...splitSystem(items),
    tools: listOf(body['tools']),
  };
}

export function chatItem(message: unknown): Item {
  const given = objectOf(message) ?? {};
  const role = roles.get(textOf(given['role'])) ?? 'user';
  const { text, others, parts } = contentOf(given['content'], partOfChat);
  const older = objectOf(given['function_call']);
  const calls = callsOf(older ? [{ function: older }, ...listOf(given['tool_calls'])] : given['tool_calls']);
  const name = textOf(given['name']);
  const reasoning = textOf(given['reasoning_content']) || textOf(given['reasoning']);
  return {
    role,
    text,
    ...(calls.length > 0 && { calls }),
    ...(name !== '' && role !== 'tool' && { name }),
    ...(role === 'tool' && { callId: textOf(given['tool_call_id']) }),
    ...(reasoning !== '' && { reasoning }),
    ...(others.length > 0 && { others, parts }),
  };
}

/** Calls as chat completions write them. */
const callsOf = (value: unknown): ToolCall[] =>
  listOf(value).map((call, at) => {
    const given = objectOf(call) ?? {};
    const called = objectOf(given['function']) ?? {};
    const written = called['arguments'];
    return {
      id: textOf(given['id']) || `call_${at}`,
      name: textOf(called['name']),
      arguments: typeof written === 'string' ? written : JSON.stringify(written ?? {}),
    };
  });
