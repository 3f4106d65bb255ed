import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { listOf, objectOf, sortedJson, textOf, type JsonObject } from './json.ts';

const textTypes = new Set(['text', 'input_text', 'output_text']);

/** What a message's content holds: a text and a list of one text are the same (clients send both), and `null` is no text. */
export function contentOf(content: unknown): { readonly text: string; readonly others: readonly string[] } {
  if (typeof content === 'string') return { text: content, others: [] };
  const texts: string[] = [];
  const others: string[] = [];
  for (const part of listOf(content)) {
    const object = objectOf(part);
    const type = textOf(object?.['type']);
    if (typeof part === 'string') texts.push(part);
    else if (object && (textTypes.has(type) || (type === '' && typeof object['text'] === 'string')))
      texts.push(textOf(object['text']));
    else if (object) others.push(otherPart(type, object));
  }
  return { text: texts.join('\n'), others };
}

/** Pictures are long: a hash of them is enough to see that two are the same. `cache_control` moves from turn to turn. */
function otherPart(type: string, { cache_control: _marker, ...part }: Readonly<Record<string, unknown>>): string {
  return `${type}:${sha256Hex(sortedJson(part)).slice(0, 32)}`;
}

/** A part of a prompt that model servers have no form for. Without it, the model would answer another question. */
export const untranslatable = ({ type }: JsonObject, where: string): CwmError =>
  new CwmError(
    'InvalidParameter',
    `The model server takes no "${textOf(type) || 'part without a type'}" in ${where}.`,
    {
      hint: 'Send it as text or as an image.',
    },
  );
