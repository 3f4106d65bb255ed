import * as z from 'zod/mini';

const text = z.string();

/** A model of a server. `other`: it embeds, ranks or speaks, as far as its name and its server tell. */
export const servedModelSchema = z.object({ id: text, use: z.enum(['chat', 'other', 'unknown']) });
export type ServedModel = z.infer<typeof servedModelSchema>;

export const engineStatusSchema = z.object({
  spec: text,
  reachable: z.boolean(),
  kind: z.nullable(text),
  version: z.nullable(text),
  model: z.nullable(text),
  maxModelLen: z.nullable(z.number()),
  blockTokens: z.nullable(z.number()),
  /** Whether its model sees pictures; absent where the server does not say it. */
  takesPictures: z.optional(z.boolean()),
  /** Process id of an engine that this backend started. */
  pid: z.nullable(z.number()),
  url: z.nullable(text),
  problem: z.nullable(z.object({ code: text, message: text, hint: text })),
  notices: z.array(text),
  /** Every model that it lists; absent where it lists none. */
  models: z.optional(z.array(servedModelSchema)),
});
export type EngineStatus = z.infer<typeof engineStatusSchema>;

/** One line of `cwm doctor`. */
export const findingSchema = z.object({
  name: text,
  state: z.enum(['ok', 'warning', 'failed', 'unknown']),
  /** What was found, in plain words. */
  detail: text,
  /** What the user can change; empty when there is nothing to do. */
  remedy: text,
});
export type Finding = z.infer<typeof findingSchema>;

/** One step of a verification (`cwm verify`), with what it looked at. */
export const verifyStepSchema = z.object({ step: text, checked: z.number(), problems: z.array(text) });
export type VerifyStep = z.infer<typeof verifyStepSchema>;
