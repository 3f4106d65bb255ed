import type { ToolCall } from '../../protocol/schemas/toolCall.ts';
import { ChatAnswer } from './chatAnswer.ts';
import { contentOf } from './content.ts';
import type { Format } from './format.ts';
import { splitSystem, type Asked, type Item } from './item.ts';
import { listOf, objectOf, textOf, type JsonObject } from './json.ts';
import { blocksOf, chatContent } from './messagesContent.ts';
import { toolOutput } from './toolOutput.ts';
import { messageOf, MessagesStream } from './messagesAnswer.ts';

/** Anthropic's Messages. */
export const messagesFormat: Format = {
  read: readMessagesRequest,
  chatBody: (_text, body, added) => JSON.stringify({ ...added, ...messagesAsChat(body) }),
  stream: (options) => new MessagesStream(options),
  whole(text, { answerId }) {
    const said = new ChatAnswer();
    said.body(text);
    return said.answer.isWhole ? JSON.stringify(messageOf(said.answer, answerId)) : null;
  },
};

function readMessagesRequest(body: JsonObject): Asked | null {
  if (!Array.isArray(body['messages'])) return null;
  const system: Item[] = [{ role: 'system', text: contentOf(body['system']).text }];
  const items = listOf(body['messages']).flatMap((message) => itemsOf(objectOf(message) ?? {}));
  return {
    model: typeof body['model'] === 'string' ? body['model'] : null,
    streams: body['stream'] === true,
    ...splitSystem(system[0]?.text === '' ? items : [...system, ...items]),
    tools: listOf(body['tools']),
  };
}

/** A message of the user's has the results of calls before what the user says. */
function itemsOf(message: JsonObject): Item[] {
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
    ...(said.others.length > 0 && { others: said.others }),
  });
  return items;
}

const own = new Set(['tool_result', 'tool_use', 'thinking', 'redacted_thinking']);

const callsOf = (blocks: readonly JsonObject[]): ToolCall[] =>
  blocks
    .filter(({ type }) => type === 'tool_use')
    .map((block) => ({
      id: textOf(block['id']),
      name: textOf(block['name']),
      arguments: JSON.stringify(block['input'] ?? {}),
    }));

/** The same request as chat completions. */
export function messagesAsChat(body: JsonObject): object {
  const system = contentOf(body['system']).text;
  const messages = listOf(body['messages']).flatMap((message) => chatMessages(objectOf(message) ?? {}));
  const tools = listOf(body['tools']).flatMap((tool) => chatTool(objectOf(tool) ?? {}));
  const streams = body['stream'] === true;
  return {
    model: body['model'],
    messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...messages],
    ...(tools.length > 0 && { tools, ...toolChoice(objectOf(body['tool_choice'])) }),
    max_tokens: body['max_tokens'],
    temperature: body['temperature'],
    top_p: body['top_p'],
    top_k: body['top_k'],
    stop: body['stop_sequences'],
    stream: streams,
    ...(streams && { stream_options: { include_usage: true } }),
  };
}

function chatMessages(message: JsonObject): object[] {
  const blocks = blocksOf(message['content']);
  const outputs = blocks
    .filter(({ type }) => type === 'tool_result')
    .map((block) => ({ id: textOf(block['tool_use_id']), ...toolOutput(chatContent(blocksOf(block['content']))) }));
  const results = outputs.map(({ id, text }) => ({ role: 'tool', tool_call_id: id, content: text }));
  const pictures = outputs.flatMap((output) => output.pictures);
  const calls = callsOf(blocks).map(({ id, name, arguments: given }) => ({
    id,
    type: 'function',
    function: { name, arguments: given },
  }));
  const said = chatContent(blocks.filter(({ type }) => !own.has(textOf(type))));
  if (results.length > 0 && said.length === 0 && pictures.length === 0) return results;
  const text = typeof said === 'string' && said !== '' ? [{ type: 'text', text: said }] : [];
  const after = typeof said === 'string' ? text : said;
  const content = pictures.length === 0 ? said : [...pictures, ...after];
  return [
    ...results,
    { role: textOf(message['role']) || 'user', content, ...(calls.length > 0 && { tool_calls: calls }) },
  ];
}

/** A tool of Anthropic's own servers has no schema, and no other server has it. */
const chatTool = ({ name, description, input_schema: parameters }: JsonObject): object[] =>
  parameters === undefined ? [] : [{ type: 'function', function: { name, description, parameters } }];

function toolChoice(choice: JsonObject | null): object {
  const type = textOf(choice?.['type']);
  if (type === 'any') return { tool_choice: 'required' };
  if (type === 'tool') return { tool_choice: { type: 'function', function: { name: choice?.['name'] } } };
  return type === 'auto' || type === 'none' ? { tool_choice: type } : {};
}
