import * as z from 'zod/mini';

export const text = z.string();
export const flag = z.optional(z.boolean());
export const queryFlag = z.optional(z.union([z.boolean(), z.stringbool()]));
/** In a query everything is text; nothing is no number. */
export const queryNumber = z.optional(
  z.union([z.number(), z.pipe(z.string().check(z.regex(/\d/)), z.coerce.number())]),
);
export const page = { limit: queryNumber, offset: queryNumber };
export const nothing = z.object({});

/** A request that may name its engine: a URL, `embedded` or `embedded:FILE`. Default: the session's or window's own. */
export const onEngine = { engine: z.optional(text) };
