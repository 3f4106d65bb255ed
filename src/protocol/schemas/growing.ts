import * as z from 'zod/mini';
import type { OtherWord } from './otherWord.ts';

/**
 * Words of a list that later versions may lengthen, in what a reader gets: one that it does not know is accepted, because it must not cost
 * the reader everything else of the answer.
 */
export const growing = <Word extends string>(_words: readonly Word[]): z.ZodMiniType<Word | OtherWord, string> =>
  z.string() as unknown as z.ZodMiniType<Word | OtherWord, string>;
