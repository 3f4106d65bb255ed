import type { CompressionLevel, MemoryPage } from '../../../protocol/memory/page.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { isExcerpted } from '../../prompt/excerpt.ts';

/** Files of a user who brought a page back, and of the recall in front of a question, begin with the page's id. */
const pathOfCopy = /^(?:page |recalled\/)(p\d{1,9}-[0-9a-f]{4}|t-[\w-]{1,64})(?=[ ,])/;
/** Such a text may have been cut. */
const longestWhole = 4_000;

/** The pages that came back with a message, and how much of each it has. */
export function copiesIn({ content }: Pick<Message, 'content'>): MemoryPage['represents'] {
  // Of a result that is itself too long for the prompt, it has a part.
  const atLeast = isExcerpted({ content }) ? 1 : 0;
  switch (content.type) {
    case 'context':
      return content.files.flatMap(({ path, text }) => {
        const page = pathOfCopy.exec(path)?.[1];
        if (page === undefined) return [];
        return [{ page, level: path.startsWith('page ') || text.length < longestWhole ? 0 : 1 }];
      });
    case 'tool-result':
      return content.name === 'page_fault' && content.outcome === 'done' ? faultedIn(content.text, atLeast) : [];
    default:
      return [];
  }
}

function faultedIn(text: string, atLeast: CompressionLevel): MemoryPage['represents'] {
  try {
    const { page } = JSON.parse(text) as { readonly page?: Readonly<Record<string, unknown>> };
    // A part of it is less than the whole.
    const level = page?.['from_character'] === undefined ? page?.['level'] : 1;
    if (typeof page?.['page_id'] !== 'string' || !isLevel(level)) return [];
    return [{ page: page['page_id'], level: level > atLeast ? level : atLeast }];
  } catch {
    // It was cut.
    return [];
  }
}

const isLevel = (value: unknown): value is CompressionLevel => value === 0 || value === 1 || value === 2 || value === 3;
