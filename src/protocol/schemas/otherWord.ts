/** A word that another version of this program uses and this one does not know. It is shown as it is. */
export type OtherWord = string & { readonly __otherWord: never };

/** What a table says of a word; undefined where the word is of another version. */
export const ofWord = <Word extends string, Value>(
  table: Readonly<Record<Word, Value>>,
  word: Word | OtherWord,
): Value | undefined => (Object.hasOwn(table, word) ? (table as Readonly<Record<string, Value>>)[word] : undefined);
