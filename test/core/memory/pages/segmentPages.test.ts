import { describe, expect, test } from 'vitest';
import { segmentPages, segmentPageText } from '../../../../src/core/memory/pages/segmentPages.ts';
import type { Segment } from '../../../../src/protocol/memory/records.ts';

const text = 'They chose a port.\nWe must use 8443.\np3-aaaa the old port';
const segment = {
  id: 's1',
  text,
  tokens: 30,
  from: 'm1',
  to: 'm9',
  lastSequence: 9,
  claims: [{ page: 'p2-bbbb', text: 'We must use 8443.' }],
  pages: [
    { page: 'p2-bbbb', level: 1 },
    { page: 'p3-aaaa', level: 3 },
  ],
} as unknown as Segment;

describe('the pages that a segment consists of', () => {
  test('S1-22 are its summary, each sentence as it was said, and the index, and have its tokens together', () => {
    const pages = segmentPages(segment, 'L0');
    expect(pages.map(({ id, kind }) => [id, kind])).toEqual([
      ['s1', 'summary'],
      ['s1-c1', 'claim'],
      ['s1-index', 'index'],
    ]);
    expect(pages.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0)).toBe(30);
    expect(pages.map(({ represents }) => represents?.map(({ page }) => page))).toEqual([
      ['p2-bbbb'],
      ['p2-bbbb'],
      ['p3-aaaa'],
    ]);
  });

  test('read as what stands in the prompt: a claim as its sentence, the others as the whole segment', () => {
    const textsOf = (find: (id: string) => Segment | null): string[] =>
      segmentPages(segment, 'L0').map((page) => segmentPageText(page, find));
    expect(textsOf((id) => (id === 's1' ? segment : null))).toEqual([text, 'We must use 8443.', text]);
    // It was sealed again meanwhile.
    expect(textsOf(() => null)).toEqual(['', '', '']);
  });
});
