import { CwmError } from '../../protocol/errors.ts';
import type { Item } from './item.ts';
import { listOf, objectOf, textOf, type JsonObject } from './json.ts';

/** What a client may name; null: nobody gave it that. */
export interface Named {
  /** By the id of an answer. */
  readonly answer: (id: string) => Promise<Item | null>;
  /** By the id that a model server gave it. */
  readonly part: (id: string) => object | null;
}

/**
 * A request of Responses with the parts of earlier answers that it only names.
 *
 * @throws CwmError MessageNotFound.
 */
export async function withoutReferences(body: JsonObject, named: Named): Promise<JsonObject> {
  if (!listOf(body['input']).some((item) => referenceOf(item) !== null)) return body;
  const input: unknown[] = [];
  for (const item of listOf(body['input'])) {
    const id = referenceOf(item);
    input.push(id === null ? item : (named.part(id) ?? (await partOf(id, named))));
  }
  return { ...body, input };
}

function referenceOf(item: unknown): string | null {
  const given = objectOf(item);
  const isReference = given?.['type'] === 'item_reference' || (given && !given['type'] && !('content' in given));
  return isReference && typeof given?.['id'] === 'string' ? given['id'] : null;
}

/** The ids of an answer's parts carry the answer's own. */
async function partOf(id: string, named: Named): Promise<object> {
  const [, kind = '', at, answer = ''] = /^(msg|rs|fc)_(?:(\d+)_)?([\w-]+)$/.exec(id) ?? [];
  const said = kind === '' ? null : await named.answer(answer);
  const call = said?.calls?.[Number(at)];
  if (said && kind === 'msg')
    return { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: textOf(said.text) }] };
  if (said && kind === 'rs') return { type: 'reasoning', id };
  if (call) return { type: 'function_call', call_id: call.id, name: call.name, arguments: call.arguments };
  throw new CwmError('MessageNotFound', `There is no item "${id.slice(0, 80)}".`, {
    hint: 'Send the item itself in place of its id.',
  });
}
