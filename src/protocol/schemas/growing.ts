import * as z from 'zod/mini';

/** A word that another version of this program uses and this one does not know. It is shown as it is. */
export type OtherWord = string & { readonly __otherWord: never };

/**
 * Words of a list that later versions may lengthen, in what a reader gets: one that it does not know is accepted, because it must not cost
 * the reader everything else of the answer.
 */
export const growing = <Word extends string>(_words: readonly Word[]): z.ZodMiniType<Word | OtherWord, string> =>
  z.string() as unknown as z.ZodMiniType<Word | OtherWord, string>;

/** What a table says of a word; undefined where the word is of another version. */
export const ofWord = <Word extends string, Value>(
  table: Readonly<Record<Word, Value>>,
  word: Word | OtherWord,
): Value | undefined => (Object.hasOwn(table, word) ? (table as Readonly<Record<string, Value>>)[word] : undefined);
