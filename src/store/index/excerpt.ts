import type { Excerpt } from '../../core/ports/search.ts';

const excerptLength = 160;
/** How much of it lies before the first match. */
const lead = 40;

/** The part of a text around the first place where one of the words begins, on one line, with all such places marked. */
export function excerptOf(text: string, words: readonly string[]): Excerpt {
  const line = text.replace(/\s+/gu, ' ').trim();
  const first = placesIn(line, words)[0]?.[0] ?? 0;
  const start = wordStart(line, Math.max(0, first - lead));
  const cut = line.slice(start, start + excerptLength).replace(/[\ud800-\udbff]$/, '');
  const before = start > 0 ? '…' : '';
  const after = start + cut.length < line.length ? '…' : '';
  const excerpt = `${before}${cut}${after}`;
  return { text: excerpt, matches: placesIn(excerpt, words) };
}

/** Begin and end of each word that begins with one of `words`, in order. */
function placesIn(line: string, words: readonly string[]): [number, number][] {
  const wanted = words.map(plain);
  return Array.from(line.matchAll(/[\p{L}\p{M}\p{N}]+/gu)).flatMap(({ 0: word, index }) => {
    const isMatch = wanted.some((begin) => plain(word).includes(begin));
    return isMatch ? [[index, index + word.length] as [number, number]] : [];
  });
}

/** Without marks on letters, as the index compares. */
const plain = (word: string): string => word.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

function wordStart(line: string, at: number): number {
  if (at === 0) return 0;
  const space = line.indexOf(' ', at);
  return space === -1 || space > at + lead ? at : space + 1;
}
