import { contentOf, untranslatable } from '../content.ts';
import { besidesInChat, chatLayout, chatPath, wholeChat } from '../chat/chatFormat.ts';
import { ownUsage, type Answered, type Before, type Besides, type Format } from '../format.ts';
import { chatMessageOf } from '../item.ts';
import { listOf, objectOf, parsed, textOf, type JsonObject } from '../json.ts';
import { withoutReferences } from '../references.ts';
import { chatItem } from '../chat/chatCompletions.ts';
import { toolOutput } from '../chat/toolOutput.ts';
import { responseOf, ResponsesStream } from './responsesAnswer.ts';
import { inputOf, ownResponses } from './responsesOwn.ts';
import {
  callOf,
  itemsIn,
  joinedTexts,
  placedItems,
  readResponsesRequest,
  reasoningOf,
  roleOf,
} from './responsesRequest.ts';

const beforeOf = (messages: readonly object[]): Before => ({
  items: () => messages.map(chatItem),
  chat: () => messages,
  own: () => inputOf(messages),
});

/** OpenAI's Responses. A request can name the answer that it continues, and then has only what is new. */
export const responsesFormat: Format = {
  read: readResponsesRequest,
  previousOf: ({ previous_response_id: id }) => (typeof id === 'string' ? id : null),
  resolved: withoutReferences,
  beforeOf,
  chat: {
    path: chatPath,
    layout: chatLayout,
    body: ({ body, before }, besides) =>
      JSON.stringify({ ...besidesInChat(body, besides), ...responsesAsChat(body, before, besides?.dialect ?? null) }),
    stream: (options) => new ResponsesStream(options),
    whole(text, options) {
      const answer = wholeChat(text);
      const own = ownUsage(answer, options);
      return { answer, passed: answer.isWhole ? JSON.stringify(responseOf(answer, options, 'completed', own)) : null };
    },
    before({ sent, hasInstructions, item }: Answered) {
      const messages = listOf(objectOf(parsed(sent))?.['messages']) as readonly object[];
      return beforeOf([...messages.slice(hasInstructions ? 1 : 0), chatMessageOf(item)]);
    },
  },
  own: {
    ...ownResponses,
    before({ sent, output }: Answered) {
      const body = objectOf(parsed(sent)) ?? {};
      const said = (output ?? []).map((item) => objectOf(parsed(item)) ?? {});
      const items = [...itemsIn(body['input']), ...said];
      return {
        items: () => placedItems(items).map(({ item }) => item),
        chat: () => chatMessages(items),
        own: () => items,
      };
    },
  },
};

/** Fields with a form of their own in chats, those that are the gateway's, and those that only OpenAI's servers have a use for. */
const known = new Set(
  `model input instructions tools tool_choice max_output_tokens temperature top_p text reasoning stream
    stream_options previous_response_id conversation store background include metadata client_metadata
    service_tier truncation max_tool_calls prompt context_management top_logprobs moderation`.split(/\s+/),
);

/** The same request as chat completions. Fields that nobody knows go along. @throws CwmError InvalidParameter. */
function responsesAsChat(body: JsonObject, before: Before | null, dialect: Besides['dialect']): object {
  const instructions = textOf(body['instructions']);
  const tools = listOf(body['tools']).flatMap((tool) => chatTool(objectOf(tool) ?? {}));
  const streams = body['stream'] === true;
  const format = objectOf(objectOf(body['text'])?.['format']);
  const effort = objectOf(body['reasoning'])?.['effort'];
  return {
    ...Object.fromEntries(Object.entries(body).filter(([field]) => !known.has(field))),
    model: body['model'],
    messages: [
      ...(instructions === '' ? [] : [{ role: 'system', content: instructions }]),
      ...(before?.chat() ?? []),
      ...chatMessages(itemsIn(body['input']), dialect),
    ],
    ...(tools.length > 0 && { tools, tool_choice: toolChoice(body['tool_choice']) }),
    max_tokens: body['max_output_tokens'] ?? undefined,
    temperature: body['temperature'] ?? undefined,
    top_p: body['top_p'] ?? undefined,
    ...(format && format['type'] !== 'text' && { response_format: responseFormat(format) }),
    ...(typeof effort === 'string' && { reasoning_effort: effort }),
    stream: streams,
    ...(streams && { stream_options: { include_usage: true } }),
  };
}

function responseFormat({ type, ...schema }: JsonObject): object {
  return type === 'json_schema' ? { type, json_schema: schema } : { type };
}

interface ChatMessage {
  readonly role: string;
  readonly content: string | readonly object[];
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly object[];
  readonly tool_call_id?: string;
}

function chatMessages(items: readonly JsonObject[], dialect: Besides['dialect'] = null): object[] {
  const messages: ChatMessage[] = [];
  let thought = '';
  /** Of the model: what it thought before is a part of it, and so is what it said right before. */
  const say = (said: Pick<ChatMessage, 'content' | 'tool_calls'>): void => {
    const last = messages.at(-1);
    const before = last?.role === 'assistant' ? messages.pop() : undefined;
    const calls = [...(before?.tool_calls ?? []), ...(said.tool_calls ?? [])];
    const reasoning = (before?.reasoning_content ?? '') + (dialect === null ? '' : thought);
    messages.push({
      role: 'assistant',
      content: before ? joinedContent(before.content, said.content) : said.content,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(calls.length > 0 && { tool_calls: calls }),
    });
    thought = '';
  };
  let pictures: readonly object[] = [];
  // Behind the last of the tools' messages, which stand together.
  const showPictures = (): void => {
    if (pictures.length > 0) messages.push({ role: 'user', content: pictures });
    pictures = [];
  };
  for (const item of items) {
    const type = textOf(item['type'] ?? 'message');
    if (type === 'reasoning') {
      thought += reasoningOf(item);
      continue;
    }
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
      say({ content: '', tool_calls: [call] });
    } else if (type === 'message') {
      const message = { role: roleOf(item), content: chatContent(item['content']) };
      if (message.role === 'assistant') say(message);
      else messages.push(message);
    } else throw untranslatable(item, 'the input');
  }
  showPictures();
  return messages;
}

function joinedContent(one: ChatMessage['content'], other: ChatMessage['content']): ChatMessage['content'] {
  if (typeof one === 'string' && typeof other === 'string') return joinedTexts(one, other);
  return [one, other].flatMap((content) => (typeof content === 'string' ? textParts(content) : content));
}

const textParts = (text: string): object[] => (text === '' ? [] : [{ type: 'text', text }]);

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
