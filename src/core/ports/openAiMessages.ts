import type { ChatMessage } from './engine.ts';

/** Chat messages as the OpenAI API has them: one with pictures is a list of parts, the pictures first. */
export const openAiMessages = (messages: readonly ChatMessage[]): readonly object[] =>
  messages.map(({ role, content, media = [], toolCalls, toolCallId }) => ({
    role,
    content:
      media.length === 0
        ? content
        : [
            ...media.map(({ mediaType, data = '' }) => ({
              type: 'image_url',
              image_url: { url: `data:${mediaType};base64,${data}` },
            })),
            { type: 'text', text: content },
          ],
    ...(toolCalls && {
      tool_calls: toolCalls.map(({ id, name, arguments: given }) => ({
        id,
        type: 'function',
        function: { name, arguments: given },
      })),
    }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
  }));
