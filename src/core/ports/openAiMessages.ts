import type { MessagePart } from '../../protocol/schemas/session.ts';
import type { ChatMessage } from './engine.ts';

/** Chat messages as the OpenAI API has them: one with pictures is a list of parts, the pictures first. */
export const openAiMessages = (messages: readonly ChatMessage[]): readonly object[] =>
  messages.map(({ role, content, media = [], parts = [], toolCalls, toolCallId }) => ({
    role,
    content:
      media.length + parts.length === 0
        ? content
        : [
            ...media.map(({ mediaType, data = '' }) => ({
              type: 'image_url',
              image_url: { url: `data:${mediaType};base64,${data}` },
            })),
            ...(parts.length === 0 ? [{ type: 'text', text: content }] : contentParts(content, parts)),
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

/** A message's content as chat completions have it: the texts, and between them the parts as they came. */
export function contentParts(text: string, parts: readonly MessagePart[]): readonly object[] {
  const list: object[] = [];
  let from = 0;
  // Texts of a message were joined by line breaks.
  const addText = (to: number): void => {
    const start = from > 0 && text[from] === '\n' ? from + 1 : from;
    if (to > start) list.push({ type: 'text', text: text.slice(start, to) });
    from = to;
  };
  for (const { part = {}, at } of parts) {
    addText(at);
    list.push(part);
  }
  addText(text.length);
  return list;
}

interface FoundBytes {
  readonly base64: string;
  readonly mediaType?: string;
  readonly format?: string;
}

const dataUrl = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,/;
const deepest = 3;

/** The first bytes in a part, whichever way it carries them; null: it has none. */
export function bytesIn(value: unknown, levels = deepest): FoundBytes | null {
  if (typeof value !== 'object' || value === null || levels === 0) return null;
  const fields = value as Readonly<Record<string, unknown>>;
  for (const [key, each] of Object.entries(fields)) {
    if (typeof each !== 'string') {
      const found = bytesIn(each, levels - 1);
      if (found) return found;
      continue;
    }
    const [head, mediaType] = dataUrl.exec(each) ?? [];
    const base64 = head === undefined ? (/^(?:file_)?data$/.test(key) ? each : '') : each.slice(head.length);
    if (base64 === '' || !/^[\w+/-]+={0,2}$/.test(base64)) continue;
    const given = mediaType ?? fields['media_type'] ?? fields['mime_type'];
    return {
      base64,
      ...(typeof given === 'string' && { mediaType: given }),
      ...(typeof fields['format'] === 'string' && { format: fields['format'] }),
    };
  }
  return null;
}

/** Null: it has no bytes. */
export const base64In = (part: unknown): string | null => bytesIn(part)?.base64 ?? null;
