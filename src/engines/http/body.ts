import type { Readable } from 'node:stream';
import type * as z from 'zod/mini';
import { CwmError, type ErrorName } from '../../protocol/errors.ts';
import { BodyText } from './bodyText.ts';
import { errorInAnswer, serverReason } from './errorWords.ts';
import { parseJson } from './parseJson.ts';

/** No honest answer comes near: 128K token ids in JSON are about 1 MB. */
const maxAnswerBytes = 32 * 1024 * 1024;
const maxRefusalBytes = 64 * 1024;

/**
 * Listens to the body, because an iteration over it costs more time than reading it: a thaw reads a dozen small answers.
 *
 * @throws CwmError `tooLarge` as soon as more than 32 MiB have come; an error of the stream itself passes unchanged.
 */
export function readText(
  body: Readable,
  onChunk: () => void,
  tooLarge: () => CwmError,
  decoder = new BodyText(),
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  body
    .on('data', (chunk: Uint8Array) => {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxAnswerBytes) return reject(tooLarge());
      chunks.push(chunk);
      onChunk();
    })
    .once('end', () => resolve(decoder.whole(Buffer.concat(chunks))))
    .once('error', reject)
    // Every answer closes; an error, with its stack, costs more than reading a small one.
    .once('close', () => {
      if (!body.readableEnded) reject(new Error('The answer broke off.'));
    });
  return promise;
}

/** The beginning of an error's text. A body that breaks off is as good as one that ends there. */
export async function readRefusal(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxRefusalBytes) break;
    }
  } catch {
    return Buffer.concat(chunks).toString('utf8');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * @param what names the answer for the user: "The answer to /v1/models".
 * @throws CwmError `code` with the server's own reason where the answer is that of an error, else with the name of the first field
 * that is wrong.
 */
export function parseAnswer<Schema extends z.ZodMiniType>(
  text: string,
  schema: Schema,
  code: ErrorName,
  what: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new CwmError(code, `${what} is not JSON${quoted(text)}.`, { cause });
  }
  return checkAnswer(value, schema, code, what);
}

/** As {@link parseAnswer}, for what is already parsed. */
export function checkAnswer<Schema extends z.ZodMiniType>(
  value: unknown,
  schema: Schema,
  code: ErrorName,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const reason = errorInAnswer(value);
  if (reason !== null) throw new CwmError(code, `${what} is an error: ${serverReason(reason)}`);
  const issue = result.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  const wanted =
    issue?.code === 'invalid_type'
      ? ` is not ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`
      : ' is not as expected';
  throw new CwmError(code, field === '' ? `${what}${wanted}.` : `${what} is malformed: "${field}"${wanted}.`, {
    context: { field },
  });
}

/** The beginning of a server's words, for the end of a message. */
export function quoted(text: string): string {
  const reason = serverReason(text);
  return reason === '' ? '' : `: ${JSON.stringify(reason)}`;
}
