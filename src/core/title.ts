import { firstOwnWords } from '../base/readableText.ts';
import type { Message, Session } from '../protocol/schemas/session.ts';

/** The session's title after these messages: the first words that the user said in them, unless it has another than its id already. */
export function titleAfter({ id, title }: Session, added: readonly Message[]): string {
  return title === id ? firstOwnWords(added) || title : title;
}
