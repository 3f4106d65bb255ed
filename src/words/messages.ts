import { formatCount } from '../base/format.ts';
import { firstWords, readableLine } from '../base/readableText.ts';
import type { Message, ShownMessage } from '../protocol/schemas/session.ts';
import { plural } from './amounts.ts';
import { speakers } from './conversationText.ts';
import type { Table } from './rows.ts';
import { costWords } from './usage.ts';

/** What each message took, and how it begins. A column that nothing would stand in is left out. */
export function messagesTable(messages: readonly ShownMessage[]): Table {
  const count = (tokens: number | null | undefined): string =>
    tokens === null || tokens === undefined ? '' : formatCount(tokens);
  const hasCosts = messages.some(({ cost }) => cost);
  return {
    head: ['', 'Message', 'Who', 'Prompted', 'Reused', 'Generated', ...(hasCosts ? ['Cost'] : []), 'Text'],
    rows: messages.map(({ id, sequence, role, content, lost, taken, cost }) => [
      String(sequence),
      id,
      speakers[role],
      count(taken?.promptTokens),
      count(taken?.cachedTokens),
      count(taken?.outputTokens),
      ...(hasCosts ? [taken ? (costWords(cost) ?? 'not known') : ''] : []),
      lost === undefined ? beginning(content) : 'lost',
    ]),
  };
}

/** How a message begins, in a line. */
function beginning(content: Message['content']): string {
  switch (content.type) {
    case 'text':
      return firstWords(readableLine(content.text)) || `(${plural(content.media?.length ?? 0, 'picture')})`;
    case 'plan':
      return `Plan: ${firstWords(readableLine(content.text))}`;
    case 'context':
      return firstWords(readableLine(content.files.map(({ path }) => path).join(', ')));
    case 'tool-calls':
    case 'question':
      return content.calls
        .map(({ name, arguments: given, question }) =>
          firstWords(readableLine(question ? `asks: ${question.text}` : `calls ${name} ${given}`)),
        )
        .join('; ');
    case 'tool-result':
      return `${readableLine(content.name)} (${content.outcome}): ${firstWords(readableLine(content.text))}`;
    case 'unknown':
      return `a message of the kind "${readableLine(content.kind)}"`;
  }
}
