import { timingSafeEqual } from 'node:crypto';
import { sha256Hex } from '../../base/hash.ts';

/** Compares digests, so that the time taken tells nothing about the secret. */
export const isSameSecret = (given: string, expected: string): boolean =>
  timingSafeEqual(Buffer.from(sha256Hex(given)), Buffer.from(sha256Hex(expected)));
