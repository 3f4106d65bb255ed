import * as z from 'zod/mini';

const stamp = z.optional(z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d/)));

/** `.cwm/config.json` of a project. It says how the folder is opened, and chooses no server, command or path. */
export const projectConfigSchema = z.object({
  version: z.string().check(z.regex(/^\d+\.\d+$/)),
  project: z.object({
    name: z.string().check(z.minLength(1), z.maxLength(255)),
    id: z.optional(z.uuid()),
  }),
  /** Whether opening the folder brings its conversation's KV back. */
  auto_switch: z.prefault(z.boolean(), true),
  /** Of other programs that read this file; this one refuses nothing because of it. */
  strict_mode: z.prefault(z.boolean(), false),
  /** Opening the folder only says what it would do. */
  dry_run: z.prefault(z.boolean(), false),
  description: z.optional(z.string().check(z.maxLength(1000))),
  created_at: stamp,
  updated_at: stamp,
});
export type ProjectConfig = z.infer<typeof projectConfigSchema>;
