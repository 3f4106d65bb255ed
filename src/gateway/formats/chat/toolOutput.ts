import { listOf, objectOf, textOf } from '../json.ts';

/**
 * What a tool gave, as chats have it: the message of a tool holds only text, so that its pictures follow in a message of the user's.
 *
 * @param content of a chat.
 */
export function toolOutput(content: unknown): { readonly text: string; readonly pictures: readonly object[] } {
  if (typeof content === 'string') return { text: content, pictures: [] };
  const parts = listOf(content).map((part) => objectOf(part) ?? {});
  const pictures = parts.filter(({ type }) => type !== 'text');
  const texts = parts.filter(({ type }) => type === 'text').map(({ text }) => textOf(text));
  return { text: texts.join('\n') || (pictures.length > 0 ? '(The picture is in the next message.)' : ''), pictures };
}
