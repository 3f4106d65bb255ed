import { CwmError } from '../../protocol/errors.ts';
import { textOf, type JsonObject } from './json.ts';

/** A part of a prompt that model servers have no form for. Without it, the model would answer another question. */
export const untranslatable = ({ type }: JsonObject, where: string): CwmError =>
  new CwmError(
    'InvalidParameter',
    `The model server takes no "${textOf(type) || 'part without a type'}" in ${where}.`,
    {
      hint: 'Send it as text or as an image.',
    },
  );
