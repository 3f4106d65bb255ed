import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** 256 random bits as hex: allowed as a cache salt by vLLM (any non-empty string) and LMCache (≤ 128 chars, none of `@ / \ NUL`). */
export const randomSalt = (): string => randomBytes(32).toString('hex');

export const randomId = (): string => randomUUID();
