import * as z from 'zod/mini';

export const text = z.string();
export const flag = z.optional(z.boolean());
export const queryFlag = z.optional(z.union([z.boolean(), z.stringbool()]));
export const page = { limit: z.optional(z.coerce.number()), offset: z.optional(z.coerce.number()) };
export const nothing = z.object({});

/** A request that may name its engine: a URL, `embedded` or `embedded:FILE`. Default: the session's or window's own. */
export const onEngine = { engine: z.optional(text) };
