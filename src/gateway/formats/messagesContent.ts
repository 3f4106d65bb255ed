import { contentOf } from './content.ts';
import { listOf, objectOf, textOf, type JsonObject } from './json.ts';
import { untranslatable } from './untranslatable.ts';

export const blocksOf = (content: unknown): readonly JsonObject[] =>
  typeof content === 'string'
    ? [{ type: 'text', text: content }]
    : listOf(content).map((block) => objectOf(block) ?? {});

/** A content of Messages as chats have it. @throws CwmError InvalidParameter for what they have no form for. */
export const chatContent = (blocks: readonly JsonObject[]): string | object[] =>
  blocks.every(({ type }) => type === 'text') ? contentOf(blocks).text : blocks.flatMap(chatParts);

function chatParts(block: JsonObject): object[] {
  const { type } = block;
  if (type === 'image') return [imagePart(block)];
  if (type === 'document') return documentParts(block);
  if (type === 'search_result')
    return [textPart(block['title'], block['source']), ...blocksOf(block['content']).flatMap(chatParts)];
  if (typeof block['text'] === 'string') return [textPart(block['text'])];
  throw untranslatable(block, 'a message');
}

const textPart = (...texts: readonly unknown[]): object => ({
  type: 'text',
  text: texts
    .map(textOf)
    .filter((text) => text !== '')
    .join('\n'),
});

function documentParts(block: JsonObject): object[] {
  const source = objectOf(block['source']) ?? {};
  const { title, context } = block;
  if (source['type'] === 'text') return [textPart(title, context, source['data'])];
  if (source['type'] !== 'content') throw untranslatable(block, 'a message');
  const head = textOf(title) === '' && textOf(context) === '' ? [] : [textPart(title, context)];
  return [...head, ...blocksOf(source['content']).flatMap(chatParts)];
}

function imagePart(block: JsonObject): object {
  const source = objectOf(block['source']) ?? {};
  if (source['type'] === 'url') return { type: 'image_url', image_url: { url: textOf(source['url']) } };
  if (source['type'] !== 'base64') throw untranslatable(block, 'a message');
  const url = `data:${textOf(source['media_type'])};base64,${textOf(source['data'])}`;
  return { type: 'image_url', image_url: { url } };
}
