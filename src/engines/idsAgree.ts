/** Tokenizers leave out or add white space at the beginning, and the bytes of a character that is not complete have no text. */
const bare = (text: string): string => text.replace(/[\s\uFFFD]/gu, '');

/**
 * Whether ids can be those of an answer: their text must hold all of the answer's, and may hold special tokens, marks around reasoning and
 * a stop text besides.
 *
 * @param textOfIds null where the server does not tell it: then nothing speaks against the ids.
 */
export const idsAgree = (
  textOfIds: string | null,
  { text, reasoning = '' }: { readonly text: string; readonly reasoning?: string },
): boolean => textOfIds === null || [reasoning, text].every((said) => bare(textOfIds).includes(bare(said)));
