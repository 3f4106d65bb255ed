import { createHmac, hash, randomBytes, randomUUID } from 'node:crypto';

/** SHA-256 as 64 lower-case hex digits. One call takes a third of the time of a hash object for some hundred bytes, as most records have. */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  const [first = ''] = parts;
  return hash('sha256', parts.length > 1 ? Buffer.concat(parts.map(bytesOf)) : first, 'hex');
}

const bytesOf = (part: string | Uint8Array): Uint8Array => (typeof part === 'string' ? Buffer.from(part) : part);

/** 256 random bits as hex: allowed as a cache salt by vLLM (any non-empty string) and LMCache (≤ 128 chars, none of `@ / \ NUL`). */
export const randomSalt = (): string => randomBytes(32).toString('hex');

/** Node puts it together from twenty parts, which V8 keeps, with ten times the text's memory: most ids are kept for long. */
export const randomId = (): string => Buffer.from(randomUUID()).toString('latin1');

export const hmacSha256Hex = (key: string, text: string): string =>
  createHmac('sha256', key).update(text).digest('hex');
