import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { listOf, objectOf, sortedJson, textOf, type JsonObject } from './json.ts';

const textTypes = new Set(['text', 'input_text', 'output_text']);

/** What is no text of a content, as chat completions have it, and how many characters of the text stand in front of it. */
export interface OtherPart {
  readonly part: JsonObject;
  readonly at: number;
}

interface Content {
  readonly text: string;
  /** A name of each other part that is equal for equal ones. */
  readonly others: readonly string[];
  /** Those of them that chat completions have a form for. */
  readonly parts: readonly OtherPart[];
}

/** What a message's content holds: a text and a list of one text are the same (clients send both), and `null` is no text. */
export function contentOf(content: unknown): Content {
  if (typeof content === 'string') return { text: content, others: [], parts: [] };
  const texts: string[] = [];
  const others: string[] = [];
  const parts: OtherPart[] = [];
  for (const part of listOf(content)) {
    const object = objectOf(part);
    const type = textOf(object?.['type']);
    if (typeof part === 'string') texts.push(part);
    else if (object && (textTypes.has(type) || (type === '' && typeof object['text'] === 'string')))
      texts.push(textOf(object['text']));
    else if (object) {
      others.push(otherName(object));
      const part = asChat(type, object);
      if (part) parts.push({ part, at: texts.join('\n').length });
    }
  }
  return { text: texts.join('\n'), others, parts };
}

/** A part of any of the formats as chat completions have it; null: they have no form for it. */
function asChat(type: string, part: JsonObject): JsonObject | null {
  const { image_url: url, detail } = part;
  if (type === 'input_image' && typeof url === 'string')
    return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' && { detail }) } };
  if (type === 'image') {
    const { type: form, url: at, media_type: kind, data } = objectOf(part['source']) ?? {};
    const written =
      form === 'url' ? textOf(at) : form === 'base64' ? `data:${textOf(kind)};base64,${textOf(data)}` : '';
    return written === '' ? null : { type: 'image_url', image_url: { url: written } };
  }
  return ofOtherFormats.has(type) ? null : part;
}

/** They stand for texts, or for what only one company's servers have. */
const ofOtherFormats = new Set(['', 'document', 'search_result', 'input_file', 'refusal']);

/** Pictures are long: a hash of them is enough to see that two are the same. `cache_control` moves from turn to turn. */
export const otherName = ({ cache_control: _marker, ...part }: JsonObject): string =>
  `${textOf(part['type'])}:${sha256Hex(sortedJson(part)).slice(0, 32)}`;

/** A part of a prompt that model servers have no form for. Without it, the model would answer another question. */
export const untranslatable = ({ type }: JsonObject, where: string): CwmError =>
  new CwmError(
    'InvalidParameter',
    `The model server takes no "${textOf(type) || 'part without a type'}" in ${where}.`,
    {
      hint: 'Send it as text or as an image.',
    },
  );
