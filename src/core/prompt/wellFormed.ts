import { CwmError } from '../../protocol/errors.ts';

/**
 * Checks that text has no half of a surrogate pair. Servers refuse such text, and with it every later request of the conversation.
 *
 * @throws CwmError InvalidParameter, with the place of the first one.
 */
export function requireWellFormed(text: string, what: string): void {
  if (text.isWellFormed()) return;
  const at = Array.from(text).findIndex((character) => !character.isWellFormed());
  throw new CwmError(
    'InvalidParameter',
    `${what} holds half of a character (a lone surrogate), as character ${at + 1}.`,
    {
      hint: 'It was cut in the middle of an emoji or another rare character: remove that half and try again.',
    },
  );
}
