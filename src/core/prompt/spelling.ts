import type { ChatMessage, ReasoningForm } from '../ports/engine.ts';
import { reasoningMarks } from '../ports/reasoningMarks.ts';

/** Spaces and the forms of characters are what templates and tokenizers change; half a character has no text. */
const normalized = (text: string): string => text.normalize('NFKC').replaceAll(/[\s\uFFFD]+/gu, '');

/**
 * Whether the text of token ids holds these messages, in their order. Reasoning in an old answer is left out of account, for templates
 * drop it.
 */
export function spells(text: string, messages: readonly ChatMessage[]): boolean {
  const whole = normalized(text);
  let from = 0;
  return messages.every(({ role, content }) => {
    const said = normalized(role === 'assistant' ? withoutReasoning(content) : content);
    const at = whole.indexOf(said, from);
    from = at + said.length;
    return at >= 0;
  });
}

function withoutReasoning(text: string): string {
  const end = Math.max(...reasoningMarks.map(({ close }) => endOf(text, close)));
  return text.slice(Math.max(0, end));
}

const endOf = (text: string, mark: string): number => {
  const at = text.lastIndexOf(mark);
  return at < 0 ? -1 : at + mark.length;
};

/** What the reasoning of the answer to this prompt will look like; null when the marks of this model's reasoning are not known. */
export function reasoningForm(
  promptText: string | null,
  messages: readonly ChatMessage[],
  wasToldApart: boolean,
): ReasoningForm | null {
  const isMarked = (text: string): boolean => reasoningMarks.some(({ close }) => text.includes(close));
  // This server leaves reasoning in the text of its answers.
  if (messages.some(({ role, content }) => role === 'assistant' && isMarked(content))) return 'text';
  if (promptText === null) return wasToldApart ? null : 'marked';
  const end = promptText.trimEnd();
  if (reasoningMarks.some(({ open }) => end.endsWith(open))) return 'open';
  return wasToldApart && !isMarked(promptText) ? null : 'marked';
}
