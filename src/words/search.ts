import type { RouteOutput } from '../protocol/api.ts';
import type { FoundMessage } from '../protocol/schemas/search.ts';
import { readableLine } from '../base/readableText.ts';
import { plural } from './amounts.ts';
import { speakers } from './conversationText.ts';

/** Where a search for words found none. Files that were added are in their projects, and copies of whole projects would be most of the index. */
export const nothingFound =
  'Nothing was found. Of files that were added to a conversation, only the names are searched.';

/** Who said it and in which session, in one line. */
export function foundWhere({ role, title, alsoIn }: FoundMessage): string {
  const others = alsoIn === 0 ? '' : `, and in ${plural(alsoIn, 'other session')}`;
  return `${speakers[role]}, in ${readableLine(title)}${others}`;
}

/** The excerpt with what was searched for between `open` and `close`. */
export function markedExcerpt({ text, matches }: FoundMessage['excerpt'], open: string, close: string): string {
  let marked = '';
  let at = 0;
  for (const [begin, end] of matches) {
    marked += `${readableLine(text.slice(at, begin))}${open}${readableLine(text.slice(begin, end))}${close}`;
    at = end;
  }
  return marked + readableLine(text.slice(at));
}

/** How searches find what left a prompt, in one sentence; none where an older backend does not say. */
export function searchSentences(search: RouteOutput<'memoryState'>['search']): string[] {
  if (!search) return [];
  const { byMeaning, server, model, embedded, messages, why } = search;
  if (!byMeaning) return [`Searches go by words alone: ${readableLine(why ?? '')}`];
  const how = `${readableLine(model ?? '')} at ${readableLine(server ?? '')}`;
  const later = embedded === 0 ? ' They are made once something has left the prompt.' : '';
  return [
    `Searches go by words and by meaning (${how}): ${embedded} of ${plural(messages, 'message')} have vectors.${later}`,
  ];
}
