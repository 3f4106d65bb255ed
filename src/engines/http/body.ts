import type * as z from 'zod/mini';
import { CwmError, type ErrorName } from '../../protocol/errors.ts';

/** No honest answer comes near: 128K token ids in JSON are about 1 MB. */
export const maxAnswerBytes = 32 * 1024 * 1024;
const maxRefusalBytes = 64 * 1024;

/** @throws CwmError `tooLarge` as soon as more than `maxBytes` have come; what breaks the stream is thrown as it is. */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  onChunk: () => void,
  tooLarge: () => CwmError,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxAnswerBytes) throw tooLarge();
    chunks.push(chunk);
    onChunk();
  }
  return Buffer.concat(chunks).toString('utf8');
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
 * @throws CwmError `code` with the name of the first field that is wrong.
 */
export function parseAnswer<Schema extends z.ZodMiniType>(
  text: string,
  schema: Schema,
  code: ErrorName,
  what: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CwmError(code, `${what} is not JSON.`, { cause });
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
  const issue = result.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  const wanted = issue?.code === 'invalid_type' ? ` is not a ${issue.expected}` : ' is not as expected';
  throw new CwmError(code, field === '' ? `${what}${wanted}.` : `${what} is malformed: "${field}"${wanted}.`, {
    context: { field },
  });
}
