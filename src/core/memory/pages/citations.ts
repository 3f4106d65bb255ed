import type { ConversationPages } from './conversationPages.ts';

const citation = /\[ref: *([^\]]{1,80})\]/g;

/** What the user is told of an answer's citations: ids of pages that its prompt did not name (S1-63). None: all of them were there. */
export function citationNotes(answer: string, pages: ConversationPages): string[] {
  const cited = [...answer.matchAll(citation)].flatMap(([, ids = '']) => ids.split(/[,;]/).map((id) => id.trim()));
  const unknown = [...new Set(cited)].filter((id) => {
    const page = pages.named(id);
    return page === null || pages.table.inPromptAs(page.id).length === 0;
  });
  if (unknown.length === 0) return [];
  const names = unknown.map((id) => JSON.stringify(id.slice(0, 40))).join(', ');
  return [`The answer cites ${names}, which no page of its prompt has.`];
}
