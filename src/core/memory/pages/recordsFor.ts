import type { MemoryRecord } from '../../../protocol/memory/records.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { pageIdOf } from '../page.ts';
import { isProcedureId } from './procedurePages.ts';

/** What of a memory is about one conversation. */
interface Fitting {
  readonly records: readonly MemoryRecord[];
  /** How many records are about other messages, or about segments that are. */
  readonly left: number;
}

/**
 * The records of a memory that are about this conversation: segments of its own messages, answers and pages that it has, and what is remembered.
 *
 * @param messages from the first one on.
 */
export function recordsFor(
  messages: readonly Pick<Message, 'id' | 'sequence'>[],
  records: readonly MemoryRecord[],
): Fitting {
  const pages = new Set<string>(messages.map(pageIdOf));
  const segments = new Set<string>();
  const isAt = (sequence: number, id: string): boolean => messages[sequence - 1]?.id === id;
  const isPage = (page: string): boolean => pages.has(page) || segments.has(page.split('-')[0]!) || isProcedureId(page);
  const fitting = records.flatMap((record): MemoryRecord[] => {
    switch (record.type) {
      case 'segment': {
        const { id, from, to, firstSequence, lastSequence, covers = [] } = record;
        const fits =
          /^s\d{1,9}$/.test(id) &&
          firstSequence <= lastSequence &&
          isAt(firstSequence, from) &&
          isAt(lastSequence, to) &&
          covers.every((each) => segments.has(each));
        if (!fits) return [];
        segments.add(id);
        return [record];
      }
      case 'turn':
        return isAt(record.sequence, record.answer) && record.segments.every((id) => segments.has(id)) ? [record] : [];
      case 'mutation':
        return record.sequence <= messages.length && isPage(record.page) ? [record] : [];
      case 'search':
        // A search finds pages of every branch.
        return record.sequence <= messages.length ? [{ ...record, pages: record.pages.filter(isPage) }] : [];
      case 'note':
        return /^s\d{1,9}$/.test(record.id) ? [record] : [];
    }
  });
  return { records: fitting, left: records.length - fitting.length };
}
