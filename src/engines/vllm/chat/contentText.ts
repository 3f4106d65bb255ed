/** Fields that hold the text of one part of a message. */
const textFields = ['text', 'content', 'thinking', 'reasoning', 'summary'] as const;
const isThought = (type: unknown): boolean => typeof type === 'string' && /think|reason/i.test(type);

export interface ContentText {
  readonly said: string;
  readonly thought: string;
}

/** The text of a message's content in any form of any server: a string, null, or parts, some of which may be thoughts. */
export function contentText(content: unknown): ContentText {
  if (typeof content === 'string') return { said: content, thought: '' };
  if (Array.isArray(content)) {
    const parts = content.map(contentText);
    return { said: parts.map(({ said }) => said).join(''), thought: parts.map(({ thought }) => thought).join('') };
  }
  if (typeof content !== 'object' || content === null) return { said: '', thought: '' };
  const part = content as Readonly<Record<string, unknown>>;
  const text = textFields.map((field) => plainText(part[field])).find((found) => found !== '') ?? '';
  return isThought(part['type']) ? { said: '', thought: text } : { said: text, thought: '' };
}

/** The same where all of it is a thought. */
export const plainText = (content: unknown): string => {
  const { said, thought } = contentText(content);
  return said + thought;
};
