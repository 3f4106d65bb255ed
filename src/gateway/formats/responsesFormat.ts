import { ChatAnswer } from './chatAnswer.ts';
import { contentOf } from './content.ts';
import type { Format } from './format.ts';
import { splitSystem, type Asked, type Item } from './item.ts';
import { listOf, objectOf, textOf, type JsonObject } from './json.ts';
import { withoutReferences } from './references.ts';
import { toolOutput } from './toolOutput.ts';
import { untranslatable } from './untranslatable.ts';
import { responseOf, ResponsesStream } from './responsesAnswer.ts';

/** OpenAI's Responses. A request can name the answer that it continues, and then has only what is new. */
export const responsesFormat: Format = {
  read: readResponsesRequest,
  previousOf: ({ previous_response_id: id }) => (typeof id === 'string' ? id.replace(/^resp_/, '') : null),
  resolved: withoutReferences,
  chatBody: (_text, body, added, before = []) => JSON.stringify({ ...added, ...responsesAsChat(body, before) }),
  stream: (options) => new ResponsesStream(options),
  whole(text, options) {
    const said = new ChatAnswer();
    said.body(text);
    return said.answer.isWhole ? JSON.stringify(responseOf(said.answer, options, 'completed')) : null;
  },
};

const itemsIn = (input: unknown): readonly JsonObject[] =>
  typeof input === 'string'
    ? [{ type: 'message', role: 'user', content: input }]
    : listOf(input).map((item) => objectOf(item) ?? {});

function readResponsesRequest(body: JsonObject): Asked | null {
  if (typeof body['input'] !== 'string' && !Array.isArray(body['input'])) return null;
  const instructions = textOf(body['instructions']);
  const items: Item[] = instructions === '' ? [] : [{ role: 'system', text: instructions }];
  let reasoning = '';
  for (const item of itemsIn(body['input'])) {
    const last = items.at(-1);
    switch (item['type'] ?? 'message') {
      case 'reasoning':
        reasoning += contentOf(item['content']).text;
        break;
      case 'custom_tool_call':
      case 'function_call': {
        const call = callOf(item);
        // A text and the calls behind it are one message of the model.
        if (last?.role === 'assistant') items[items.length - 1] = { ...last, calls: [...(last.calls ?? []), call] };
        else items.push({ role: 'assistant', text: '', calls: [call], ...(reasoning !== '' && { reasoning }) });
        reasoning = '';
        break;
      }
      case 'custom_tool_call_output':
      case 'function_call_output': {
        const { text, others } = contentOf(item['output']);
        items.push({ role: 'tool', text, callId: textOf(item['call_id']), ...(others.length > 0 && { others }) });
        break;
      }
      case 'message': {
        const role = roleOf(item);
        const { text, others } = contentOf(item['content']);
        const thought = role === 'assistant' && reasoning !== '' && { reasoning };
        items.push({ role, text, ...(others.length > 0 && { others }), ...thought });
        if (role === 'assistant') reasoning = '';
        break;
      }
      default:
        items.push({ role: 'user', text: '', others: contentOf([item]).others });
    }
  }
  return {
    model: typeof body['model'] === 'string' ? body['model'] : null,
    streams: body['stream'] === true,
    ...splitSystem(items),
    tools: listOf(body['tools']),
  };
}

function roleOf({ role }: JsonObject): 'assistant' | 'system' | 'user' {
  if (role === 'assistant') return 'assistant';
  return role === 'system' || role === 'developer' ? 'system' : 'user';
}

const callOf = (item: JsonObject) => ({
  id: textOf(item['call_id']),
  name: textOf(item['name']),
  // The input of a custom tool is no JSON.
  arguments: 'input' in item ? JSON.stringify({ input: item['input'] }) : textOf(item['arguments']) || '{}',
});

/** The same request as chat completions. */
function responsesAsChat(body: JsonObject, before: readonly object[]): object {
  const instructions = textOf(body['instructions']);
  const tools = listOf(body['tools']).flatMap((tool) => chatTool(objectOf(tool) ?? {}));
  const streams = body['stream'] === true;
  const format = objectOf(objectOf(body['text'])?.['format']);
  return {
    model: body['model'],
    messages: [
      ...(instructions === '' ? [] : [{ role: 'system', content: instructions }]),
      ...before,
      ...chatMessages(itemsIn(body['input'])),
    ],
    ...(tools.length > 0 && { tools, tool_choice: toolChoice(body['tool_choice']) }),
    max_tokens: body['max_output_tokens'] ?? undefined,
    temperature: body['temperature'] ?? undefined,
    top_p: body['top_p'] ?? undefined,
    ...(format && format['type'] !== 'text' && { response_format: responseFormat(format) }),
    stream: streams,
    ...(streams && { stream_options: { include_usage: true } }),
  };
}

function responseFormat({ type, ...schema }: JsonObject): object {
  return type === 'json_schema' ? { type, json_schema: schema } : { type };
}

function chatMessages(items: readonly JsonObject[]): object[] {
  const messages: { role: string; content: unknown; tool_calls?: object[]; tool_call_id?: string }[] = [];
  let pictures: readonly object[] = [];
  // Behind the last of the tools' messages, which stand together.
  const showPictures = (): void => {
    if (pictures.length > 0) messages.push({ role: 'user', content: pictures });
    pictures = [];
  };
  for (const item of items) {
    const type = textOf(item['type'] ?? 'message');
    if (type === 'reasoning') continue;
    if (type === 'function_call_output' || type === 'custom_tool_call_output') {
      const output = toolOutput(chatContent(item['output']));
      messages.push({ role: 'tool', tool_call_id: textOf(item['call_id']), content: output.text });
      pictures = [...pictures, ...output.pictures];
      continue;
    }
    showPictures();
    if (type === 'function_call' || type === 'custom_tool_call') {
      const { id, name, arguments: given } = callOf(item);
      const call = { id, type: 'function', function: { name, arguments: given } };
      const last = messages.at(-1);
      if (last?.role === 'assistant') last.tool_calls = [...(last.tool_calls ?? []), call];
      else messages.push({ role: 'assistant', content: '', tool_calls: [call] });
    } else if (type === 'message') messages.push({ role: roleOf(item), content: chatContent(item['content']) });
    else throw untranslatable(item, 'the input');
  }
  showPictures();
  return messages;
}

function chatContent(content: unknown): string | object[] {
  const { text, others } = contentOf(content);
  return others.length === 0 ? text : listOf(content).map((part) => chatPart(objectOf(part) ?? {}));
}

function chatPart(part: JsonObject): object {
  const { image_url: url, text, refusal, detail } = part;
  if (part['type'] === 'input_image' && typeof url === 'string')
    return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' && { detail }) } };
  if (part['type'] === 'input_audio') return { type: 'input_audio', input_audio: part['input_audio'] };
  if (typeof text === 'string') return { type: 'text', text };
  if (typeof refusal === 'string') return { type: 'text', text: refusal };
  throw untranslatable(part, 'a message');
}

/** Only functions: OpenAI's own servers have the other tools. */
const chatTool = ({ type, name, description, parameters, strict }: JsonObject): object[] =>
  type === 'function'
    ? [{ type, function: { name, description, parameters, ...(strict === true && { strict }) } }]
    : [];

function toolChoice(choice: unknown): unknown {
  const named = objectOf(choice);
  if (named?.['type'] === 'function') return { type: 'function', function: { name: named['name'] } };
  return choice === 'required' || choice === 'none' ? choice : 'auto';
}
