/** Scripts that write words without spaces between them. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** Made when the first such text comes: making it takes some 10 ms, which each start of a backend would wait for. */
let segmenter: Intl.Segmenter | null = null;

function spaced(text: string): string {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'word' });
  return Array.from(segmenter.segment(text), ({ segment }) => segment).join(' ');
}

/** The text as the index takes it: words with spaces between them, in one form of each letter. */
export function indexedText(text: string): string {
  const normal = text.normalize('NFKC').toLowerCase();
  return unspaced.test(normal) ? spaced(normal) : normal;
}

const phraseOrWord = /"([^"]*)"?|([^\s"]+)/gu;
/** Its words, as the index takes them. */
export const wordsOf = (text: string): string[] => indexedText(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

/**
 * What a person typed, as an expression of SQLite's full-text search: all words must occur, those in quotes one after another; the last one
 * may be the beginning of a word, since it is still being typed. @returns null when there is no word in it.
 */
export function searchExpression(typed: string): string | null {
  const terms = Array.from(typed.matchAll(phraseOrWord), ([whole, phrase, word]) => ({
    // What is written in one word but indexed as several (a_name, a path) must occur as it is written.
    words: wordsOf(phrase ?? word ?? ''),
    isOpen: phrase === undefined || !whole.endsWith('"') || whole === '"',
  })).filter(({ words }) => words.length > 0);
  if (terms.length === 0) return null;
  return terms
    .map(({ words, isOpen }, at) => `"${words.join(' ')}${isOpen && at === terms.length - 1 ? '*' : ''}"`)
    .join(' ');
}

/** The words to mark in an excerpt: each is marked where a word begins with it. */
export const searchedWords = (typed: string): string[] => [...new Set(wordsOf(typed))];
