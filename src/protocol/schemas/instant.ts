import { CwmError } from '../errors.ts';

/** A date, or a date with a time; without a zone it is in that of the backend. */
const form = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2})?)?$/;

/**
 * An instant in ISO 8601 as every record has it. `Date` alone would understand much else: 0.5 is a day of May.
 *
 * @param field its name in the request.
 * @throws CwmError InvalidParameter.
 */
export function parseInstant(value: string, field: string): string {
  const date = form.test(value) ? new Date(value) : null;
  if (date && !Number.isNaN(date.getTime())) return date.toISOString();
  throw new CwmError('InvalidParameter', `"${field}" is not a time: ${JSON.stringify(value.slice(0, 40))}.`, {
    hint: `Give "${field}" as ISO 8601, like 2027-01-31T12:00:00Z.`,
    context: { parameter: field },
  });
}
