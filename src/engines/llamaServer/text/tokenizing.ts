import { isCwmError } from '../../../protocol/errors.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import { detokenizeSchema, tokenizeSchema } from '../wire.ts';

/**
 * The ids of an answer's text; what reads like a special token in it is text.
 *
 * @param once asks no second time after a failure.
 */
export const answerIds = (link: Link, text: string, signal: AbortSignal, once = false): Promise<readonly number[]> =>
  tokenize(link, { content: text, add_special: false, parse_special: false }, signal, once);

/**
 * The text of ids, special tokens included; null where the server does not tell it.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function textOfIds(link: Link, ids: readonly number[], signal: AbortSignal): Promise<string | null> {
  try {
    return (await link.json(post('/detokenize', { tokens: ids }), detokenizeSchema, signal)).value.content;
  } catch (error) {
    if (!isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
}

/** The ids of a text, as the server's own tokenizer has them. */
export async function tokenize(
  link: Link,
  body: unknown,
  signal: AbortSignal,
  once = false,
): Promise<readonly number[]> {
  return (await link.json({ ...post('/tokenize', body), once }, tokenizeSchema, signal)).value.tokens;
}

/** The id of a text that is one special token; null where it is a text like any other. */
export async function specialId(link: Link, mark: string, signal: AbortSignal): Promise<number | null> {
  const [special, plain] = await Promise.all(
    [true, false].map((parse_special) => tokenize(link, { content: mark, add_special: false, parse_special }, signal)),
  );
  return special?.length === 1 && (plain?.length ?? 0) > 1 ? (special[0] ?? null) : null;
}

export const post = (path: string, body: unknown): LinkRequest => ({
  method: 'POST',
  path,
  body,
  patience: 'small',
  wrongAnswer: 'EngineFailed',
});
