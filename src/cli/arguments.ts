import { InvalidArgumentError } from 'commander';
import { durationExample, parseDuration } from '../base/parseDuration.ts';

/** For commander: a whole number from `min`. */
export const wholeNumber =
  (min: number) =>
  (value: string): number => {
    const number = Number(value);
    if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= min) return number;
    throw new InvalidArgumentError(`It must be a whole number, ${min} or more.`);
  };

/** For commander: a number from 0, with or without a fraction. */
export function amount(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a number, 0 or more.');
}

/** For commander: a duration like `90m`, `12h` or `30d`, in milliseconds. */
export function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms !== null) return ms;
  throw new InvalidArgumentError(`It must be a duration like ${durationExample}.`);
}

/** For commander: an option that names something. An empty value comes from a script whose variable was never set. */
export function notEmpty(value: string): string {
  if (value.trim() !== '') return value;
  throw new InvalidArgumentError('It must not be empty.');
}

/** For commander: an option that may be given several times. */
export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];
