import { formatCount } from '../../base/format.ts';
import { wholeBefore } from '../../base/readableText.ts';
import type { Excerpt, Message } from '../../protocol/schemas/session.ts';
import { pageIdOf } from './pageId.ts';

interface Excerpted {
  readonly text: string;
  readonly excerpt?: Excerpt | undefined;
}

/** The text of a message as prompts have it: all of it, or its beginning and its end around a sentence that says how to read the rest.
 * The sentence is the same whatever a request offers, so that prompts stay alike. */
export function textInPrompt(message: Pick<Message, 'id' | 'sequence'>, { text, excerpt }: Excerpted): string {
  if (!excerpt) return text;
  const { head, tail } = excerpt;
  const left = text.length - head - tail;
  if (left <= 0) return text;
  const page = pageIdOf(message);
  const notice = `[${formatCount(left)} of ${formatCount(text.length)} characters are left out here: page ${page}. The tool page_fault, if it is offered, brings them back with page_id "${page}" and from_character ${head}.]`;
  return [text.slice(0, head), notice, text.slice(text.length - tail)].filter((part) => part !== '').join('\n');
}

/** Whether prompts have only a part of the message's text. */
export const isExcerpted = ({ content }: Pick<Message, 'content'>): boolean =>
  'excerpt' in content && content.excerpt !== undefined;

/** An excerpt of about so many characters, three quarters of them from the beginning, that cuts no character in two. */
export function excerptOf(text: string, characters: number): Excerpt {
  const head = wholeBefore(text, Math.floor(characters * headShare));
  const from = Math.max(head, text.length - Math.floor(characters * (1 - headShare)));
  return { head, tail: text.length - wholeBefore(text, from) };
}

const headShare = 3 / 4;
