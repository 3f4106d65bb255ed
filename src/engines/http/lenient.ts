import * as z from 'zod/mini';

/** A field that serves evidence only: absent, null or malformed means that the server gave no value, and the rest of the answer stays valid. */
export const maybe = <Schema extends z.ZodMiniType>(schema: Schema) =>
  // oxlint-disable-next-line promise/valid-params -- zod's catch, not a promise's
  z.catch(z.optional(z.nullable(schema)), undefined);

export const count = z.int().check(z.nonnegative());

/** One check for the whole array: a schema for each of 32K ids takes a millisecond. */
export const tokenIds = z.custom<number[]>(
  (value) => Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0),
);
