import * as z from 'zod/mini';

// Functions, as every schema that a client may load: VS Code's extension takes the tools, and no schemas.

/** What a field means, for the model that fills it in. */
export const described = <Schema extends z.ZodMiniType>(schema: Schema, description: string): Schema =>
  schema.check(z.describe(description));

export const sessionId = () =>
  described(z.string().check(z.minLength(1), z.maxLength(64)), 'Id of the session: letters, digits, "_" and "-".');

export const windowName = () =>
  described(z.string().check(z.minLength(1), z.maxLength(128)), 'Name of the window: letters, digits, "_" and "-".');

export const tags = () =>
  described(z.array(z.string().check(z.maxLength(32))).check(z.maxLength(10)), 'At most 10 tags.');

export const notes = () => ({
  description: z.optional(described(z.string().check(z.maxLength(1000)), 'What the window is for.')),
  tags: z.optional(tags()),
});

export const pageInput = (defaultLimit: number) => ({
  limit: z.optional(
    described(z.int().check(z.gte(1), z.lte(100)), `Most items in one answer. Default: ${defaultLimit}.`),
  ),
  offset: z.optional(described(z.int().check(z.gte(0)), 'Items to skip. Default: 0.')),
  cursor: z.optional(described(z.string(), 'The "next_cursor" of the answer before this one, in place of an offset.')),
});

export const pageOutput = () => ({
  total: z.int(),
  page: described(z.int(), 'The first is 1.'),
  total_pages: z.int(),
  has_more: z.boolean(),
  next_cursor: z.nullable(z.string()),
});

export const count = () => z.nullable(z.number());

/** What the model servers of a kind reused. */
export const modelServer = () =>
  z.object({ kind: z.string(), connected: z.boolean(), hit_rate: count(), cached_tokens: count() });
