import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import { contentOf, untranslatable } from '../content.ts';
import { splitSystem, type Asked, type Item } from '../item.ts';
import { listOf, objectOf, textOf, type JsonObject } from '../json.ts';

export const blocksOf = (content: unknown): readonly JsonObject[] =>
  typeof content === 'string'
    ? [{ type: 'text', text: content }]
    : listOf(content).map((block) => objectOf(block) ?? {});

/** A content of Messages as chats have it. @throws CwmError InvalidParameter for what they have no form for. */
export const chatContent = (blocks: readonly JsonObject[]): string | object[] =>
  blocks.every(({ type }) => type === 'text') ? contentOf(blocks).text : blocks.flatMap(chatParts);

function chatParts(block: JsonObject): object[] {
  const { type } = block;
  if (type === 'image') return [imagePart(block)];
  if (type === 'document') return documentParts(block);
  if (type === 'search_result')
    return [textPart(block['title'], block['source']), ...blocksOf(block['content']).flatMap(chatParts)];
  if (typeof block['text'] === 'string') return [textPart(block['text'])];
  throw untranslatable(block, 'a message');
}

const textPart = (...texts: readonly unknown[]): object => ({
  type: 'text',
  text: texts
    .map(textOf)
    .filter((text) => text !== '')
    .join('\n'),
});

function documentParts(block: JsonObject): object[] {
  const source = objectOf(block['source']) ?? {};
  const { title, context } = block;
  if (source['type'] === 'text') return [textPart(title, context, source['data'])];
  if (source['type'] !== 'content') throw untranslatable(block, 'a message');
  const head = textOf(title) === '' && textOf(context) === '' ? [] : [textPart(title, context)];
  return [...head, ...blocksOf(source['content']).flatMap(chatParts)];
}

function imagePart(block: JsonObject): object {
  const source = objectOf(block['source']) ?? {};
  if (source['type'] === 'url') return { type: 'image_url', image_url: { url: textOf(source['url']) } };
  if (source['type'] !== 'base64') throw untranslatable(block, 'a message');
  const url = `data:${textOf(source['media_type'])};base64,${textOf(source['data'])}`;
  return { type: 'image_url', image_url: { url } };
}

export const systemOf = (body: JsonObject): string => contentOf(body['system']).text;

/** Null for what has no list of messages. */
export function readMessagesRequest(body: JsonObject): Asked | null {
  if (!Array.isArray(body['messages'])) return null;
  const system: Item[] = [{ role: 'system', text: systemOf(body) }];
  const items = listOf(body['messages']).flatMap((message) => itemsOf(objectOf(message) ?? {}));
  return {
    model: typeof body['model'] === 'string' ? body['model'] : null,
    streams: body['stream'] === true,
    ...splitSystem(system[0]?.text === '' ? items : [...system, ...items]),
    tools: listOf(body['tools']),
  };
}

/** A message of the user's has the results of calls before what the user says. */
export function itemsOf(message: JsonObject): Item[] {
  const role = textOf(message['role']);
  const blocks = blocksOf(message['content']);
  const results = blocks.filter(({ type }) => type === 'tool_result');
  const calls = callsOf(blocks);
  const reasoning = blocks.map((block) => textOf(block['thinking'])).join('');
  const said = contentOf(blocks.filter(({ type }) => !own.has(textOf(type))));
  const items: Item[] = results.map((block) => {
    const { text, others } = contentOf(block['content']);
    return { role: 'tool', text, callId: textOf(block['tool_use_id']), ...(others.length > 0 && { others }) };
  });
  if (results.length > 0 && said.text === '' && said.others.length === 0) return items;
  items.push({
    role: role === 'assistant' ? 'assistant' : role === 'system' ? 'system' : 'user',
    text: said.text,
    ...(calls.length > 0 && { calls }),
    ...(reasoning !== '' && { reasoning }),
    ...(said.others.length > 0 && { others: said.others, parts: said.parts }),
  });
  return items;
}

/** Blocks that are no content of a message. */
export const own = new Set(['tool_result', 'tool_use', 'thinking', 'redacted_thinking']);

export const callsOf = (blocks: readonly JsonObject[]): ToolCall[] =>
  blocks
    .filter(({ type }) => type === 'tool_use')
    .map((block) => ({
      id: textOf(block['id']),
      name: textOf(block['name']),
      arguments: JSON.stringify(block['input'] ?? {}),
    }));
