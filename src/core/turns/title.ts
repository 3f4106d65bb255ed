import type { Message, Session } from '../../protocol/schemas/session.ts';

const titleLength = 60;

/** The session's title after these messages: the first words of the first one, unless it has another than its id already. */
export function titleAfter({ id, title }: Session, added: readonly Message[]): string {
  const first = added.find(({ role, content }) => role === 'user' && content.type === 'text');
  return title !== id || first?.content.type !== 'text' ? title : firstWords(first.content.text) || title;
}

/** Of a text, whole words as far as they fit into a line. */
function firstWords(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (line.length <= titleLength) return line;
  const cut = line.slice(0, titleLength);
  const end = cut.lastIndexOf(' ');
  return `${(end > 0 ? cut.slice(0, end) : cut).toWellFormed().replaceAll('\uFFFD', '')}…`;
}
