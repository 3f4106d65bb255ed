import { readFileSync, writeFileSync } from 'node:fs';
import type { Random } from './random.ts';

/** Flips a bit of a file. @returns its bytes now; null where there is none: a prune or a repair deleted it. */
export function flipBit(random: Random, path: string): Buffer | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  writeFileSync(path, bytes);
  return bytes;
}

/** Whether these ids are those that a fact tells of, as far as it does. */
export const isOf = (
  { count, tail }: { readonly count: number | null; readonly tail: readonly number[] },
  ids: readonly number[],
): boolean => ids.length === count && tail.every((id, index) => ids[ids.length - tail.length + index] === id);
