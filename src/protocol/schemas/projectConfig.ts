import * as z from 'zod/mini';
import { toolSettingsSchema } from './toolCall.ts';

const described = z.describe;
const stamp = (what: string) =>
  z.optional(z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d/), described(`${what}, as an ISO 8601 instant.`)));

/** `.cwm/config.json` of a project. It can name no path outside its folder; its model server and tools count where the user trusts the folder. */
export const projectConfigSchema = z.object({
  $schema: z.optional(z.string().check(described('Where editors find the schema of this file.'))),
  version: z.string().check(z.regex(/^\d+\.\d+$/), described('Version of this format: 1.0.')),
  project: z
    .object({
      name: z.string().check(z.minLength(1), z.maxLength(255), described('The name that people see.')),
      id: z.optional(
        z
          .uuid()
          .check(
            described(
              'A UUID. A folder with the id of a project that is elsewhere is proposed as its new place, never taken by itself.',
            ),
          ),
      ),
    })
    .check(described('The project of this folder and of all folders below it.')),
  auto_switch: z
    .prefault(z.boolean(), true)
    .check(described('Whether opening the folder brings the KV of its current session back. Off: it is offered.')),
  strict_mode: z
    .prefault(z.boolean(), false)
    .check(
      described('Whether a program that works in this folder is refused what changes a session of another project.'),
    ),
  dry_run: z
    .prefault(z.boolean(), false)
    .check(described('Opening the folder only says what it would do, and changes nothing.')),
  system_prompt: z.optional(
    z.string().check(z.maxLength(65_536), described('The system prompt of new sessions that name none.')),
  ),
  engine: z.optional(
    z.string().check(
      z.maxLength(4096),
      // Folders of this machine behind a "#" are the user's to name.
      z.regex(/^(embedded|https?:\/\/[^\s#]+)$/),
      described('Model server of new sessions: a URL, or "embedded". Used only where you trust the folder.'),
    ),
  ),
  model: z.optional(
    z
      .string()
      .check(
        z.minLength(1),
        z.maxLength(1024),
        described('Which model of "engine", where that server has several. Used only where you trust the folder.'),
      ),
  ),
  tools: z.optional(
    toolSettingsSchema.check(described('Tools of new sessions. Used only where you trust the folder.')),
  ),
  description: z.optional(z.string().check(z.maxLength(1000), described('What the project is.'))),
  created_at: stamp('When the project was made'),
  updated_at: stamp('When this file was changed'),
});
export type ProjectConfig = z.infer<typeof projectConfigSchema>;

/** How a project was found, the first that has an answer. `default`: nothing is known of the folder. */
const resolutionTiers = ['explicit', 'config', 'registry', 'default'] as const;

/** Which project a folder belongs to. */
export const projectResolutionSchema = z.object({
  tier: z.enum(resolutionTiers),
  /** Canonical URI of the project's folder: the one that has the configuration, else the folder itself. Null: there is no folder. */
  project: z.nullable(z.string()),
  name: z.string(),
  /** `project.id` of the configuration. */
  id: z.nullable(z.string()),
  configPath: z.nullable(z.string()),
});
export type ProjectResolution = z.infer<typeof projectResolutionSchema>;
