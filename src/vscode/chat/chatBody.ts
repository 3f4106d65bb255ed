import {
  LanguageModelChatToolMode,
  LanguageModelDataPart,
  LanguageModelTextPart,
  LanguageModelToolCallPart,
  LanguageModelToolResultPart,
  type LanguageModelChatInformation,
  type LanguageModelChatRequestMessage,
  type ProvideLanguageModelChatResponseOptions,
} from 'vscode';

/** VS Code's enumeration has no system role in its stable form, and sends it all the same. */
const roles: Readonly<Record<number, string>> = { 1: 'user', 2: 'assistant', 3: 'system' };

type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

/** What a model is asked, as JSON. */
export interface Asked {
  readonly model: string;
  readonly [field: string]: unknown;
}

/**
 * A conversation of VS Code's chat in the form of chat completions, which is what the gateway recognises it by.
 * Its answer is as long as VS Code was told at most: a model that never ends would hold its server.
 */
export function chatBody(
  { id, maxOutputTokens }: Pick<LanguageModelChatInformation, 'id' | 'maxOutputTokens'>,
  messages: readonly LanguageModelChatRequestMessage[],
  { tools = [], toolMode, modelOptions = {} }: Partial<ProvideLanguageModelChatResponseOptions>,
): Asked {
  return {
    max_tokens: maxOutputTokens,
    // An option that begins so is between VS Code's chat and its own models.
    ...Object.fromEntries(Object.entries(modelOptions).filter(([name]) => !name.startsWith('_'))),
    model: id,
    messages: messages.flatMap(chatMessages),
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, inputSchema = { type: 'object', properties: {} } }) => ({
        type: 'function',
        function: { name, description, parameters: inputSchema },
      })),
      tool_choice: toolMode === LanguageModelChatToolMode.Required ? 'required' : 'auto',
    }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** One message of VS Code's may be several: each result of a tool is one of its own, before what the user says. */
function chatMessages({ role, content }: Pick<LanguageModelChatRequestMessage, 'role' | 'content'>): object[] {
  const said = content.flatMap(partOf);
  const calls = content.flatMap((part) =>
    part instanceof LanguageModelToolCallPart
      ? [{ id: part.callId, type: 'function', function: { name: part.name, arguments: JSON.stringify(part.input) } }]
      : [],
  );
  const results = content.flatMap((part) =>
    part instanceof LanguageModelToolResultPart
      ? [{ role: 'tool', tool_call_id: part.callId, content: textOf(part.content.flatMap(partOf)) }]
      : [],
  );
  const message = { role: roles[role] ?? 'user', content: said.some(isImage) ? said : textOf(said) };
  if (calls.length > 0) return [...results, { ...message, tool_calls: calls }];
  return said.length === 0 ? results : [...results, message];
}

/** The same message as Anthropic's Messages have it, in which a model server counts: calls and results of tools are blocks there. */
export function countedMessages({
  role,
  content,
}: Pick<LanguageModelChatRequestMessage, 'role' | 'content'>): object[] {
  const said = content.flatMap(partOf).map(blockOf);
  const calls = content.flatMap((part) =>
    part instanceof LanguageModelToolCallPart
      ? [{ type: 'tool_use', id: part.callId, name: part.name, input: part.input }]
      : [],
  );
  const results = content.flatMap((part) =>
    part instanceof LanguageModelToolResultPart
      ? [{ type: 'tool_result', tool_use_id: part.callId, content: textOf(part.content.flatMap(partOf)) }]
      : [],
  );
  const blocks = [...results, ...said, ...calls];
  return blocks.length === 0 ? [] : [{ role: roles[role] ?? 'user', content: blocks }];
}

const blockOf = (part: ChatPart): object =>
  part.type === 'text' ? part : { type: 'image', source: { type: 'url', url: part.image_url.url } };

function partOf(part: unknown): ChatPart[] {
  if (part instanceof LanguageModelTextPart) return [{ type: 'text', text: part.value }];
  if (!(part instanceof LanguageModelDataPart)) return [];
  const { mimeType, data } = part;
  if (mimeType.startsWith('image/')) {
    const url = `data:${mimeType};base64,${Buffer.from(data).toString('base64')}`;
    return [{ type: 'image_url', image_url: { url } }];
  }
  return mimeType.startsWith('text/') || mimeType === 'application/json'
    ? [{ type: 'text', text: Buffer.from(data).toString('utf8') }]
    : [];
}

const isImage = ({ type }: ChatPart): boolean => type === 'image_url';
const textOf = (parts: readonly ChatPart[]): string =>
  parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
