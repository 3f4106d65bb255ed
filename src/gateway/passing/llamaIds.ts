import { commonPrefixLength } from '../../base/tokenIds.ts';
import { listOf, objectOf, parsed, textOf, type JsonObject } from '../formats/json.ts';
import { ownHeaders } from './headers.ts';
import type { Upstream, UpstreamAddress } from './upstream.ts';

/** Two continuations of a conversation that differ in their first token. */
const continuations = ['Yes, please.', '2 + 2'] as const;

/**
 * The token ids with which every next prompt of a chat begins, where llama-server does not tell those of an answer: its own template
 * and tokenizer make them, which computes nothing. Null where it has no such routes.
 *
 * @param body the request of the chat.
 * @param answer the message that answers it.
 */
export async function llamaIds(
  upstream: Upstream,
  address: UpstreamAddress,
  body: JsonObject,
  answer: object,
  signal: AbortSignal,
): Promise<readonly number[] | null> {
  const post = async (path: string, sent: object): Promise<JsonObject | null> => {
    const request = { method: 'POST', path, headers: ownHeaders(address), body: JSON.stringify(sent) } as const;
    const reply = await upstream.send(address, request, signal);
    const text = await reply.body.text();
    return reply.statusCode === 200 ? objectOf(parsed(text)) : null;
  };
  const idsOf = async (content: string): Promise<readonly number[] | null> => {
    const messages = [...listOf(body['messages']), answer, { role: 'user', content }];
    const { stream: _stream, ...rest } = body;
    const rendered = textOf(
      (await post('/apply-template', { ...rest, messages, add_generation_prompt: false }))?.['prompt'],
    );
    if (rendered === '') return null;
    const tokens = await post('/tokenize', { content: rendered, add_special: true, parse_special: true });
    return tokens && (listOf(tokens['tokens']) as number[]);
  };
  const [one, other] = [await idsOf(continuations[0]), await idsOf(continuations[1])];
  return one && other && one.slice(0, commonPrefixLength(one, other));
}
