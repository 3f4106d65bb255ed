import { contentOf } from '../content.ts';
import { splitSystem, type Asked, type Item } from '../item.ts';
import { listOf, objectOf, textOf, type JsonObject } from '../json.ts';

export const itemsIn = (input: unknown): readonly JsonObject[] =>
  typeof input === 'string'
    ? [{ type: 'message', role: 'user', content: input }]
    : listOf(input).map((item) => objectOf(item) ?? {});

/** Null for what has no input. */
export function readResponsesRequest(body: JsonObject): Asked | null {
  if (typeof body['input'] !== 'string' && !Array.isArray(body['input'])) return null;
  const instructions = textOf(body['instructions']);
  const items = placedItems(itemsIn(body['input'])).map(({ item }) => item);
  return {
    model: typeof body['model'] === 'string' ? body['model'] : null,
    streams: body['stream'] === true,
    ...splitSystem(instructions === '' ? items : [{ role: 'system', text: instructions }, ...items]),
    tools: listOf(body['tools']),
  };
}

/** What was said, with the elements of the list that say it: from one to another one, which is not among them. */
export interface Placed {
  readonly item: Item;
  readonly from: number;
  readonly to: number;
}

/** Elements as messages: what the model thought, wrote and called between two messages of others is one message of the model. */
export function placedItems(elements: readonly JsonObject[]): readonly Placed[] {
  const placed: Placed[] = [];
  let reasoning = '';
  let from: number | null = null;
  for (const [at, element] of elements.entries()) {
    const type = textOf(element['type'] ?? 'message');
    if (type === 'reasoning') {
      reasoning += reasoningOf(element);
      from ??= at;
      continue;
    }
    let item = itemOf(type, element);
    if (item.role === 'assistant' && reasoning !== '') item = { ...item, reasoning };
    if (item.role === 'assistant') reasoning = '';
    const last = placed.at(-1);
    const joined = last && type !== 'reasoning' ? joinedTo(last.item, item) : null;
    if (last && joined) placed[placed.length - 1] = { item: joined, from: last.from, to: at + 1 };
    else placed.push({ item, from: from ?? at, to: at + 1 });
    from = null;
  }
  return placed;
}

/** Null for what begins a message of its own. */
const joinedTo = (last: Item, next: Item): Item | null =>
  last.role === 'assistant' && next.role === 'assistant' ? joined(last, next) : null;

/** Two parts of what the model said, in the role of the first. */
export function joined(last: Item, next: Item): Item {
  const text = joinedTexts(last.text, next.text);
  const reasoning = (last.reasoning ?? '') + (next.reasoning ?? '');
  const calls = [...(last.calls ?? []), ...(next.calls ?? [])];
  const others = [...(last.others ?? []), ...(next.others ?? [])];
  const from = next.text === '' ? text.length : text.length - next.text.length;
  const parts = [...(last.parts ?? []), ...(next.parts ?? []).map((part) => ({ ...part, at: from + part.at }))];
  return {
    ...last,
    text,
    ...(reasoning !== '' && { reasoning }),
    ...(calls.length > 0 && { calls }),
    ...(others.length > 0 && { others }),
    ...(parts.length > 0 && { parts }),
  };
}

export const joinedTexts = (...texts: readonly string[]): string => texts.filter((text) => text !== '').join('\n');

function itemOf(type: string, element: JsonObject): Item {
  switch (type) {
    case 'custom_tool_call':
    case 'function_call':
      return { role: 'assistant', text: '', calls: [callOf(element)] };
    case 'custom_tool_call_output':
    case 'function_call_output': {
      const { text, others } = contentOf(element['output']);
      return { role: 'tool', text, callId: textOf(element['call_id']), ...(others.length > 0 && { others }) };
    }
    case 'message': {
      const { text, others, parts } = contentOf(element['content']);
      return { role: roleOf(element), text, ...(others.length > 0 && { others, parts }) };
    }
    default: {
      // A call of the server's own tools is the model's; its ids and how far it came say nothing.
      const { id: _id, status: _status, ...said } = element;
      return { role: ofModel.test(type) ? 'assistant' : 'user', text: '', others: contentOf([said]).others };
    }
  }
}

const ofModel = /_call$|_request$|^mcp_list_tools$|^compaction$/;

export function roleOf({ role }: JsonObject): 'assistant' | 'system' | 'user' {
  if (role === 'assistant') return 'assistant';
  return role === 'system' || role === 'developer' ? 'system' : 'user';
}

export const callOf = (item: JsonObject) => ({
  id: textOf(item['call_id']),
  name: textOf(item['name']),
  // The input of a custom tool is no JSON.
  arguments: 'input' in item ? JSON.stringify({ input: item['input'] }) : textOf(item['arguments']) || '{}',
});

/** What the model thought, where the client has it in plain words. */
export const reasoningOf = (item: JsonObject): string => {
  const words = listOf(item['content']);
  return (words.length > 0 ? words : listOf(item['summary'])).map((part) => textOf(objectOf(part)?.['text'])).join('');
};
