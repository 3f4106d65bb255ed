import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import { listOf, objectOf, sortedJson, textOf, type JsonObject } from './json.ts';

const textTypes = new Set(['text', 'input_text', 'output_text']);

/** What is no text of a content, as chat completions have it, and how many characters of the text stand in front of it. */
export interface OtherPart {
  readonly part: JsonObject;
  readonly at: number;
  /** The one that the message has among its others. */
  readonly name: string;
}

interface Content {
  readonly text: string;
  /** A name of each other part that is equal for equal ones. */
  readonly others: readonly string[];
  /** Those of them that chat completions have a form for. */
  readonly parts: readonly OtherPart[];
}

/**
 * What a message's content holds: a text and a list of one text are the same (clients send both), and `null` is no text.
 *
 * @param chatForm of a part that is no text, null where chat completions have none. Default: as the other formats write parts.
 */
export function contentOf(content: unknown, chatForm = asChat): Content {
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
      const name = otherName(object);
      others.push(name);
      const part = chatForm(type, object);
      if (part) parts.push({ part, at: texts.join('\n').length, name });
    }
  }
  return { text: texts.join('\n'), others, parts };
}

/** Servers know more parts than anybody can list: each is one that chat completions have, as it was written. */
export const partOfChat = (type: string, part: JsonObject): JsonObject | null =>
  type === '' || type === 'refusal' ? null : part;

/** A part of Responses or Messages as chat completions have it; null: they have no form for it, or nobody knows it. */
function asChat(type: string, part: JsonObject): JsonObject | null {
  switch (type) {
    case 'input_audio':
      return part;
    case 'input_image': {
      const { image_url: url, detail } = part;
      if (typeof url !== 'string') return null;
      return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' && { detail }) } };
    }
    case 'input_file': {
      const { filename, file_data: data, file_id: id } = part;
      if (typeof data !== 'string' && typeof id !== 'string') return null;
      return { type: 'file', file: { filename, file_data: data, file_id: id } };
    }
    case 'image': {
      const url = sourceUrl(part);
      return url === null ? null : { type: 'image_url', image_url: { url } };
    }
    case 'document': {
      const data = objectOf(part['source'])?.['type'] === 'base64' ? sourceUrl(part) : null;
      const filename = textOf(part['title']) || 'document.pdf';
      return data === null ? null : { type: 'file', file: { filename, file_data: data } };
    }
    default:
      return null;
  }
}

/** Of a part of Messages; null: only Anthropic's servers have it, or it is words. */
function sourceUrl(part: JsonObject): string | null {
  const { type, url, media_type: kind, data } = objectOf(part['source']) ?? {};
  if (type === 'base64') return `data:${textOf(kind)};base64,${textOf(data)}`;
  return type === 'url' ? textOf(url) || null : null;
}

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
