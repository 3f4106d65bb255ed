import { chatLayout, chatPath, besidesInChat, wholeChat } from '../chat/chatFormat.ts';
import { ownUsage, type Besides, type Format } from '../format.ts';
import { listOf, objectOf, textOf, type JsonObject } from '../json.ts';
import { blocksOf, callsOf, chatContent, own, readMessagesRequest, systemOf } from './messagesContent.ts';
import { toolOutput } from '../chat/toolOutput.ts';
import { messageOf, MessagesStream } from './messagesAnswer.ts';
import { ownMessages } from './messagesOwn.ts';

/** Anthropic's Messages. */
export const messagesFormat: Format = {
  read: readMessagesRequest,
  chat: {
    path: chatPath,
    layout: chatLayout,
    body: ({ body }, besides) =>
      JSON.stringify({ ...besidesInChat(body, besides), ...messagesAsChat(body, besides?.dialect ?? null) }),
    stream: (options) => new MessagesStream(options),
    whole(text, options) {
      const answer = wholeChat(text);
      const own = ownUsage(answer, options);
      return { answer, passed: answer.isWhole ? JSON.stringify(messageOf(answer, options.answerId, own)) : null };
    },
  },
  own: ownMessages,
};

/** Fields with a form of their own in chats, and those that only Anthropic's servers have a use for. */
const known = new Set(
  `model messages system tools tool_choice max_tokens temperature top_p top_k stream stop_sequences
    thinking output_config metadata service_tier container context_management mcp_servers inference_geo
    speed cache_control betas stream_options`.split(/\s+/),
);

/** The same request as chat completions. Fields that nobody knows go along. @throws CwmError InvalidParameter. */
export function messagesAsChat(body: JsonObject, dialect: Besides['dialect'] = null): object {
  const system = systemOf(body);
  const messages = listOf(body['messages']).flatMap((message) => chatMessages(objectOf(message) ?? {}, dialect));
  const tools = listOf(body['tools']).flatMap((tool) => chatTool(objectOf(tool) ?? {}));
  const streams = body['stream'] === true;
  return {
    ...Object.fromEntries(Object.entries(body).filter(([field]) => !known.has(field))),
    model: body['model'],
    messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...messages],
    ...(tools.length > 0 && { tools, ...toolChoice(objectOf(body['tool_choice'])) }),
    max_tokens: body['max_tokens'],
    temperature: body['temperature'],
    top_p: body['top_p'],
    top_k: body['top_k'],
    stop: body['stop_sequences'],
    ...outputFields(objectOf(body['output_config'])),
    ...(dialect !== null && thinkingFields(body, dialect)),
    stream: streams,
    ...(streams && { stream_options: { include_usage: true } }),
  };
}

function outputFields(config: JsonObject | null): object {
  const format = objectOf(config?.['format']);
  const effort = config?.['effort'];
  return {
    ...(format?.['type'] === 'json_schema' && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: format['schema'] } },
    }),
    ...(typeof effort === 'string' && { reasoning_effort: effort }),
  };
}

/** vLLM refuses a budget unless it was started with a parser for reasoning, so that it gets none. */
function thinkingFields(body: JsonObject, dialect: Besides['dialect']): object {
  const thinking = objectOf(body['thinking']);
  const budget = thinking?.['budget_tokens'];
  if (thinking?.['type'] === 'enabled' && dialect === 'llama-server' && typeof budget === 'number')
    return { thinking_budget_tokens: budget };
  if (thinking?.['type'] !== 'disabled') return {};
  return { chat_template_kwargs: { enable_thinking: false, ...objectOf(body['chat_template_kwargs']) } };
}

function chatMessages(message: JsonObject, dialect: Besides['dialect']): object[] {
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
  const thought = dialect === null ? '' : blocks.map((block) => textOf(block['thinking'])).join('');
  return [
    ...results,
    {
      role: textOf(message['role']) || 'user',
      content,
      ...(thought !== '' && { reasoning_content: thought }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  ];
}

/** A tool of Anthropic's own servers has no schema, and no other server has it. */
const chatTool = ({ name, description, input_schema: parameters, strict }: JsonObject): object[] =>
  parameters === undefined
    ? []
    : [{ type: 'function', function: { name, description, parameters, ...(strict === true && { strict }) } }];

function toolChoice(choice: JsonObject | null): object {
  const type = textOf(choice?.['type']);
  const alone = choice?.['disable_parallel_tool_use'] === true && { parallel_tool_calls: false };
  if (type === 'any') return { tool_choice: 'required', ...alone };
  if (type === 'tool') return { tool_choice: { type: 'function', function: { name: choice?.['name'] } }, ...alone };
  return type === 'auto' || type === 'none' ? { tool_choice: type, ...alone } : {};
}
