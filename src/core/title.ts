import { firstWords } from '../base/readableText.ts';
import type { Message, Session } from '../protocol/schemas/session.ts';

/** The session's title after these messages: the first words of the first one, unless it has another than its id already. */
export function titleAfter({ id, title }: Session, added: readonly Message[]): string {
  const first = added.find(({ role, content }) => role === 'user' && content.type === 'text');
  return title !== id || first?.content.type !== 'text' ? title : firstWords(first.content.text) || title;
}
